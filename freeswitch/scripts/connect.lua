-- The dialplan's: whose number was called, where its audio goes; answers, and opens the stream.

local stream = require("stream")
local uuid = session:get_uuid()

local function header(name)
  local value = session:getVariable(name)
  if value == nil or value == "" then return nil end
  return stream.safe(value)
end

-- The line of numbers.list for a number; nil: it is not ours.
local function ownerOf(wanted)
  local plain = wanted:gsub("^%+", "")
  for line in io.lines(stream.setting("conf_dir") .. "/numbers.list") do
    local number, user, campaign = line:match("^%s*%+?([^%s#]+)%s+(%S+)%s+(%S+)%s*$")
    if number == plain then return user, campaign ~= "-" and campaign or nil end
  end
  return nil
end

-- A call that came in: for whom it is, and its id. Nil: the number is nobody's.
local function called()
  local to = header("destination_number") or ""
  local user, campaign = ownerOf(to)
  if user == nil then
    stream.log(uuid, "call.unknown-number", "to=" .. to)
    session:execute("respond", "404 Not Found")
    return nil
  end
  -- The proxy's id of the call; a call that it tried on another node first has another one there.
  local id = header("sip_h_X-Call-Id") or ""
  if not id:find("^[%w%._%-]+$") then id = uuid end
  session:setVariable("agent_call_id", id)
  session:setVariable("agent_user", stream.safe(user))
  if campaign ~= nil then session:setVariable("agent_campaign", stream.safe(campaign)) end
  session:setVariable("agent_to", to)
  session:setVariable("agent_from", header("caller_id_number") or "anonymous")
  session:setVariable("agent_trunk", header("sip_h_X-Trunk") or "")
  return id
end

local function connect()
  -- One that this node has placed (dial.lua) knows all that.
  local placed = header("agent_dial") ~= nil
  local id = placed and header("agent_call_id") or called()
  if id == nil then return end
  local module = stream.setting("stream_module")
  -- The older service has not asked for it.
  local url, authorization, isOlder = (placed and stream.ownTarget or stream.target)(id, module)
  -- The service looks up what was given along with the request for it.
  if placed then
    local region = header("agent_region")
    url = url .. "&dialled=true" .. (region ~= nil and "&region=" .. region or "")
  end

  session:setVariable("agent_module", module)
  session:setVariable("agent_url", url)
  if isOlder then session:setVariable("agent_older", "true") end
  session:setVariable("agent_sip_call_id", header("sip_call_id") or "")
  if authorization ~= nil then
    session:setVariable("STREAM_EXTRA_HEADERS", '{"Authorization":"' .. authorization .. '"}')
    -- mod_twilio_stream knows HTTP Basic alone; name and token together have at most 90 characters there.
    session:setVariable("MOD_AUDIO_BASIC_AUTH_USERNAME", stream.setting("node_name"))
    session:setVariable("MOD_AUDIO_BASIC_AUTH_PASSWORD", (authorization:gsub("^Bearer ", "")))
  end

  session:answer()
  if not session:ready() then return end
  -- G.711 has 8 kHz; of Opus the service hears 16.
  local rate = (tonumber(session:getVariable("read_rate")) or 8000) > 8000 and 16000 or 8000
  session:setVariable("agent_rate", tostring(rate))
  stream.log(uuid, "call.answered", "sip=" .. (header("sip_call_id") or "-") .. " rate=" .. rate .. " url=" .. url:gsub("%?.*", ""))
  stream.open(uuid)
end

-- What fails here (numbers.list cannot be read) is this node's fault: the proxy tries another one. `stay` would lead back to here.
local done, problem = pcall(connect)
if not done then
  freeswitch.consoleLog("err", "event=call.failed call=" .. uuid .. " why=" .. stream.safe(tostring(problem)) .. "\n")
  session:execute("respond", "503 Service Unavailable")
end
