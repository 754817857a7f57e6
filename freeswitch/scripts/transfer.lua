-- The caller is connected to somebody else: dialled by the dialplan's `transfer`, told to the service as it goes, and taken back to `stay` if nobody
-- answers. Where it stands is in agent_transfer: `asked`, `answered`, or `failed` and not told yet.

local stream = require("stream")

local transfer = {}

-- What the service sends; a time for ringing beyond these is none.
local RING_SECONDS = { least = 5, most = 120, default = 30 }
-- Whoever has the caller is not listened to any longer, also where the service does not close the socket.
local LISTEN_SECONDS = 5

local function script(uuid, what)
  return "luarun " .. stream.setting("conf_dir") .. "/scripts/report.lua " .. uuid .. " " .. what
end

local function asNumber(text)
  return text ~= nil and text:find("^%+?[%d%*#]+$") and #text <= 32 and text or nil
end

-- The dial string's end. Nothing gets into it but what has no meaning there: no comma, bar, brace, bracket, quote, dollar or blank.
local function target(to, proxy)
  if #to > 255 then return nil end
  if to:find("^%+[1-9]%d+$") and #to <= 16 then return "sofia/calls/" .. to .. "@" .. proxy end
  local host = to:match("^sips?:[%w_%.%+%-]+@([%w%.%-]+)$") or to:match("^sips?:[%w_%.%+%-]+@([%w%.%-]+):%d+$")
  return host ~= nil and "sofia/calls/" .. to .. ";fs_path=sip:" .. proxy or nil
end

-- Without early media: what is answered by nothing but a tape could not be taken back.
local function dialString(uuid, destination, seconds)
  local ours, theirs = stream.get(uuid, "agent_to"), stream.get(uuid, "agent_from")
  if stream.get(uuid, "agent_direction") == "outbound" then ours, theirs = theirs, ours end
  local shown = stream.setting("transfer_shows") == "caller" and asNumber(theirs) or asNumber(ours) or "anonymous"
  local variables = {
    "ignore_early_media=true",
    -- Nobody else than who was asked for.
    "outbound_redirect_fatal=true",
    "instant_ringback=true",
    "originate_timeout=" .. seconds,
    "origination_caller_id_number=" .. shown,
    "origination_caller_id_name=" .. shown,
    "sip_h_X-Call-Id=" .. (stream.get(uuid, "agent_call_id") or uuid),
    "api_on_ring='" .. script(uuid, "ringing") .. "'",
    "api_on_pre_answer='" .. script(uuid, "ringing") .. "'",
    "api_on_answer='" .. script(uuid, "answered") .. "'",
  }
  local trunk = stream.setting("transfer_trunk")
  if trunk ~= nil then variables[#variables + 1] = "sip_h_X-Trunk=" .. trunk end
  if stream.setting("srtp") == "mandatory" then variables[#variables + 1] = "rtp_secure_media=mandatory" end
  return "{" .. table.concat(variables, ",") .. "}" .. destination
end

-- What the service has still to hear; it is heard once there is a socket.
local function tellPending(uuid)
  local state = stream.get(uuid, "agent_transfer")
  if state == "answered" then
    stream.tell(uuid, { { "type", "transfer" }, { "state", "answered" } })
  elseif state == "failed" then
    local told = stream.tell(uuid, {
      { "type", "transfer" },
      { "state", "failed" },
      { "cause", stream.get(uuid, "agent_transfer_cause") },
      { "sipStatus", tonumber(stream.get(uuid, "agent_transfer_status") or "") },
    })
    if told then stream.set(uuid, "agent_transfer", "") end
  end
end

transfer.connected = tellPending

local function failed(uuid, cause, status)
  stream.log(uuid, "transfer.failed", "cause=" .. cause .. " status=" .. (status or "-"))
  stream.set(uuid, "agent_transfer_cause", cause)
  stream.set(uuid, "agent_transfer_status", status or "")
  stream.set(uuid, "agent_transfer", "failed")
  tellPending(uuid)
end

-- The service's word. `text`: its message.
function transfer.begin(uuid, text)
  if stream.isTransferred(uuid) or not stream.canTransfer(uuid) then return end
  local to = text:match('"to":"([^"\\]*)"')
  local destination = to ~= nil and target(to, stream.setting("proxy")) or nil
  if destination == nil then
    failed(uuid, "INVALID_NUMBER_FORMAT")
    return
  end
  local seconds = tonumber(text:match('"ringSeconds":(%d+)') or "") or RING_SECONDS.default
  seconds = math.max(RING_SECONDS.least, math.min(RING_SECONDS.most, math.floor(seconds)))
  -- Of an attempt before.
  stream.set(uuid, "sip_invite_failure_status", "")
  stream.set(uuid, "agent_transfer_rings", "")
  stream.set(uuid, "agent_transfer_dial", dialString(uuid, destination, seconds))
  stream.set(uuid, "agent_transfer", "asked")
  stream.log(uuid, "transfer.asked", "seconds=" .. seconds)
  local answer = stream.run("uuid_transfer", uuid .. " transfer XML calls")
  if not answer:find("^%+OK") then failed(uuid, "NORMAL_UNSPECIFIED") end
end

-- The service has given it up: the caller comes back, from whoever has answered meanwhile, too.
function transfer.cancel(uuid)
  if not stream.isTransferred(uuid) then return end
  stream.set(uuid, "agent_transfer", "")
  stream.log(uuid, "transfer.canceled")
  stream.run("uuid_transfer", uuid .. " stay XML calls")
end

function transfer.ringing(uuid)
  if stream.get(uuid, "agent_transfer") ~= "asked" or stream.get(uuid, "agent_transfer_rings") == "true" then return end
  stream.set(uuid, "agent_transfer_rings", "true")
  stream.tell(uuid, { { "type", "transfer" }, { "state", "ringing" } })
end

function transfer.answered(uuid)
  if stream.get(uuid, "agent_transfer") ~= "asked" then return end
  stream.set(uuid, "agent_transfer", "answered")
  stream.set(uuid, "agent_transfer_at", os.time())
  stream.log(uuid, "transfer.answered")
  tellPending(uuid)
  stream.run("sched_api", "+" .. LISTEN_SECONDS .. " none " .. script(uuid, "alone"))
end

-- Somebody else has had the caller for LISTEN_SECONDS.
function transfer.alone(uuid)
  if stream.get(uuid, "agent_transfer") == "answered" then stream.stop(uuid) end
end

-- The dialplan goes on: nobody has answered. (After somebody has, hangup_after_bridge ends the call.)
function transfer.over(uuid)
  if stream.get(uuid, "agent_transfer") ~= "asked" then return end
  local status = stream.get(uuid, "sip_invite_failure_status")
  failed(uuid, stream.safe(stream.get(uuid, "originate_disposition") or "NORMAL_UNSPECIFIED"), tonumber(status or ""))
  stream.back(uuid)
end

return transfer
