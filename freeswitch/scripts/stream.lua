-- A call's WebSocket: opened, lost, opened again, given up. What is known of a call stands in its channel's variables (agent_…), because each event
-- is handled by a Lua of its own, on whichever thread has time.

local stream = {}

local api = freeswitch.API()

-- Waits before the next try, in seconds; the last one again and again, until reopen_seconds are over.
local WAITS = { 0, 1, 2, 4, 8 }
-- A try that has not come to anything is given up after this.
local OPEN_SECONDS = 5
-- A socket that lived longer was a good one: a new loss is counted from the beginning.
local GOOD_SECONDS = 10
-- mod_twilio_stream does not tell close codes: what is closed so soon after it was opened again was refused.
local REFUSED_SECONDS = 5

-- The service's close codes after which the call is over (README, "close code"); after any other it goes on.
local FINAL = { [1000] = true, [4400] = true, [4402] = true, [4403] = true, [4408] = true, [4409] = true, [4410] = true, [4429] = true }
-- Answers to the upgrade that another try would not change.
local FINAL_STATUS = { [400] = true, [401] = true, [403] = true, [404] = true, [426] = true }

local function run(command, arguments)
  return (api:execute(command, arguments) or ""):gsub("%s+$", "")
end

stream.run = run

function stream.get(uuid, name)
  local value = run("uuid_getvar", uuid .. " " .. name)
  if value == "_undef_" or value == "" or value:find("^%-ERR") then return nil end
  return value
end

function stream.set(uuid, name, value)
  run("uuid_setvar", uuid .. " " .. name .. " " .. tostring(value))
end

local function number(uuid, name)
  return tonumber(stream.get(uuid, name) or "") or 0
end

function stream.setting(name)
  local value = freeswitch.getGlobalVariable(name)
  if value == nil or value == "" then return nil end
  return value
end

function stream.log(uuid, event, details)
  local call = stream.get(uuid, "agent_call_id") or uuid
  freeswitch.consoleLog("notice", "event=" .. event .. " call=" .. call .. " " .. (details or "") .. "\n")
end

-- --- Texts ---------------------------------------------------------------------------------------------------------------

-- What may stand in JSON, in an API's argument (where ' and \ vanish) and in a log line alike.
function stream.safe(text)
  return (text:sub(1, 256):gsub("[^%w%+%*#@%._:~/!=%%?,%-]", "_"))
end

-- Of a list of {name, value}, in that order: the service knows a message by its first name.
function stream.json(fields)
  local parts = {}
  for _, field in ipairs(fields) do
    local name, value = field[1], field[2]
    if type(value) == "string" then value = '"' .. stream.safe(value) .. '"' end
    if type(value) == "table" then value = stream.json(value) end
    if value ~= nil then parts[#parts + 1] = '"' .. name .. '":' .. tostring(value) end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

function stream.base64(text)
  local parts = {}
  for at = 1, #text, 3 do
    local a, b, c = text:byte(at, at + 2)
    local bits = a * 65536 + (b or 0) * 256 + (c or 0)
    for place = 3, 0, -1 do
      local digit = math.floor(bits / 64 ^ place) % 64 + 1
      local missing = (place == 1 and not b) or (place == 0 and not c)
      parts[#parts + 1] = missing and "=" or DIGITS:sub(digit, digit)
    end
  end
  return table.concat(parts)
end

-- Whether this call is one of the `percent` in a hundred that go to the service. The same for the same id, on every node.
function stream.isAmong(id, percent)
  local hash = 0
  -- 2^32 - 5 is a prime; the product fits into the 53 bits of a number.
  for at = 1, #id do hash = (hash * 257 + id:byte(at)) % 4294967291 end
  -- Twice more, or ids that count up would go the same way in long rows.
  for _ = 1, 2 do hash = hash * 1000003 % 4294967291 end
  return hash / 4294967291 * 100 < percent
end

-- --- Modules -------------------------------------------------------------------------------------------------------------

-- What the service is told of a call. `type`: the message's, where it is one.
local function facts(uuid, type)
  local function known(name) return stream.get(uuid, name) end
  return {
    { "type", type },
    { "callId", known("agent_call_id") },
    { "userId", known("agent_user") },
    { "campaignId", known("agent_campaign") },
    { "from", known("agent_from") },
    { "to", known("agent_to") },
    { "direction", known("agent_direction") },
    { "sampleRate", number(uuid, "agent_rate") },
    { "resumeToken", known("agent_resume_token") },
    { "sip", { { "callId", known("agent_sip_call_id") }, { "trunk", known("agent_trunk") }, { "node", stream.setting("node_name") } } },
  }
end

local modules = {}

modules.mod_openai_audio_stream = {
  path = "freeswitch",
  command = "uuid_raw_audio_stream",
  start = function(uuid, url)
    local rate = stream.get(uuid, "agent_rate")
    return url .. " mono " .. rate .. " " .. rate
  end,
  tell = function(uuid, json) return run("uuid_raw_audio_stream", uuid .. " send_json " .. stream.base64(json)) end,
  -- The first text; mod_audio_stream sends it by itself.
  greets = true,
  features = { "dtmf", "transfer" },
}

modules.mod_audio_stream = {
  path = "mod_audio_stream",
  command = "uuid_audio_stream",
  start = function(uuid, url)
    return url .. " mono " .. stream.get(uuid, "agent_rate") .. " " .. stream.json(facts(uuid, "start_call"))
  end,
  tell = function(uuid, json) return run("uuid_audio_stream", uuid .. " send_text " .. json) end,
  features = { "dtmf", "transfer" },
}

modules.mod_twilio_stream = {
  path = "mod_twilio_stream",
  command = "uuid_twilio_stream",
  start = function(uuid, url)
    local call = stream.get(uuid, "agent_call_id")
    return url .. " " .. stream.base64(stream.json({
      { "call_sid", call },
      { "account_sid", stream.setting("node_name") },
      { "stream_sid", call },
      { "custom_parameters", facts(uuid) },
    }))
  end,
  -- It forgets a closed socket by itself, and tells keys, but no close codes.
  forgets = true,
  hidesCodes = true,
  features = {},
}

local function moduleOf(uuid)
  return modules[stream.get(uuid, "agent_module") or ""]
end

-- The URL of a call at the service, and the Authorization header that goes with it.
function stream.ownTarget(id, name)
  local module = modules[name]
  local features = {}
  for _, feature in ipairs(module.features) do
    -- Without a proxy there is no way out.
    if feature ~= "transfer" or stream.setting("proxy") ~= nil then features[#features + 1] = feature end
  end
  features = table.concat(features, ",")
  local url = stream.setting("service") .. "/ws/" .. module.path .. "?callId=" .. id .. (features ~= "" and "&features=" .. features or "")
  return url, "Bearer " .. (stream.setting("node_token") or ""), false
end

-- The same, of the service or of the older one, and whether it is the older one's.
function stream.target(id, name)
  local percent = tonumber(stream.setting("service_percent") or "100")
  local older = stream.setting("older_url")
  if older ~= nil and not stream.isAmong(id, percent) then
    return older .. (older:find("?", 1, true) and "&" or "?") .. "callId=" .. id, stream.setting("older_authorization"), true
  end
  return stream.ownTarget(id, name)
end

-- --- Life of a socket ----------------------------------------------------------------------------------------------------

local function exists(uuid)
  return run("uuid_exists", uuid) == "true"
end

-- Whoever asks first for what comes after this opening; others have seen the same end of it.
local function isFirst(uuid, serial)
  return run("hash", "insert_ifempty/agent/" .. uuid .. "-" .. serial .. "/1"):find("^%+OK") ~= nil
end

-- Somebody else is to have the caller, or has.
function stream.isTransferred(uuid)
  local state = stream.get(uuid, "agent_transfer")
  return state == "asked" or state == "answered"
end

local function hold(uuid, on)
  local line = stream.setting("hold_line")
  -- Who hears ringing, or somebody, hears nothing of ours.
  if on and stream.isTransferred(uuid) then return end
  if line == nil or on == (stream.get(uuid, "agent_holds") == "true") then return end
  stream.set(uuid, "agent_holds", on)
  run("uuid_displace", uuid .. (on and " start " .. line .. " 0 loop" or " stop " .. line))
end

function stream.release(uuid, cause, why)
  stream.log(uuid, "call.released", "cause=" .. cause .. " why=" .. why)
  stream.set(uuid, "agent_released", why)
  run("uuid_kill", uuid .. " " .. cause)
end

-- The service is lost for good, which stands in agent_gone. Who is with somebody else stays there, and who waits for somebody may still be answered (`back` sees to the others).
local function giveUp(uuid, why)
  if not stream.isTransferred(uuid) then
    stream.release(uuid, "NORMAL_TEMPORARY_FAILURE", why)
    return
  end
  stream.set(uuid, "agent_gone", why)
  stream.log(uuid, "stream.given-up", "why=" .. why)
end

-- The caller is back from a transfer.
function stream.back(uuid)
  local gone = stream.get(uuid, "agent_gone")
  if gone ~= nil then stream.release(uuid, "NORMAL_TEMPORARY_FAILURE", gone)
  elseif stream.get(uuid, "agent_open") ~= "true" then hold(uuid, true) end
end

-- Starts the module. It says only that it tries: `connected` or `lost` follow, or `check` gives up. `stop`: what the module may have of a try that
-- failed so early that it could not clean up after it, as it does by itself otherwise; it has had a second for that.
function stream.open(uuid, stop)
  local module = moduleOf(uuid)
  local url = stream.get(uuid, "agent_url")
  if module == nil or url == nil or not exists(uuid) then return end
  local serial = number(uuid, "agent_serial") + 1
  stream.set(uuid, "agent_serial", serial)
  stream.set(uuid, "agent_open", "false")
  run("sched_api", "+" .. OPEN_SECONDS .. " none luarun " .. stream.setting("conf_dir") .. "/scripts/reopen.lua " .. uuid .. " check " .. serial)
  if stop then run(module.command, uuid .. " stop") end
  local answer = run(module.command, uuid .. " start " .. module.start(uuid, url))
  if not answer:find("^%+OK") then stream.lost(uuid, "not started", false) end
end

function stream.connected(uuid)
  local module = moduleOf(uuid)
  if module == nil then return end
  hold(uuid, false)
  stream.set(uuid, "agent_open", "true")
  stream.set(uuid, "agent_opened_at", os.time())
  if module.greets then module.tell(uuid, stream.json(facts(uuid, "start_call"))) end
  stream.log(uuid, "stream.open", "serial=" .. number(uuid, "agent_serial"))
end

-- The socket is closed. `code`: RFC 6455's, where the module tells it.
function stream.closed(uuid, code)
  local module = moduleOf(uuid)
  if module == nil or not exists(uuid) then return end
  local lived = os.time() - number(uuid, "agent_opened_at")
  local wasOpen = stream.get(uuid, "agent_open") == "true"
  if wasOpen and FINAL[code] and stream.get(uuid, "agent_transfer") == "answered" then
    -- The service knows it: its part is over.
    stream.set(uuid, "agent_open", "false")
    stream.set(uuid, "agent_gone", "closed")
    stream.log(uuid, "stream.closed", "code=" .. code)
    return
  end
  local refused = module.hidesCodes and wasOpen and number(uuid, "agent_serial") > 1 and lived < REFUSED_SECONDS
  -- What was never open was closed by `stop`, with a code that says nothing.
  if wasOpen and (FINAL[code] or refused) then
    stream.release(uuid, "NORMAL_CLEARING", "closed-" .. (code or "soon"))
    return
  end
  stream.lost(uuid, "closed " .. (code or ""), not module.forgets)
end

-- The socket could not be opened. `status`: the answer's, where there was one.
function stream.failed(uuid, status)
  if FINAL_STATUS[status] then
    giveUp(uuid, "status-" .. status)
  else
    stream.lost(uuid, "failed " .. (status or ""), false)
  end
end

-- There is no socket: the caller hears the hold line, and it is tried again, or the call is given up. `stop`: the module still has the old
-- socket. After a failure it is rid of it, on a thread of its own, and must not be disturbed at that.
function stream.lost(uuid, why, stop)
  local serial = number(uuid, "agent_serial")
  if not exists(uuid) or not isFirst(uuid, serial) then return end
  local now = os.time()
  local wasOpen = stream.get(uuid, "agent_open") == "true"
  local lostAt, tries = number(uuid, "agent_lost_at"), number(uuid, "agent_tries")
  if lostAt == 0 or (wasOpen and now - number(uuid, "agent_opened_at") >= GOOD_SECONDS) then
    lostAt, tries = now, 0
    stream.set(uuid, "agent_lost_at", now)
  end
  local wait = WAITS[math.min(tries + 1, #WAITS)]
  -- What was never open will not be open in the same second.
  if not wasOpen then wait = math.max(wait, 1) end
  if now + wait - lostAt > tonumber(stream.setting("reopen_seconds") or "30") then
    giveUp(uuid, "unreachable")
    return
  end
  if stop then run(moduleOf(uuid).command, uuid .. " stop") end
  stream.log(uuid, "stream.lost", "serial=" .. serial .. " wait=" .. wait .. " why=" .. stream.safe(why))
  stream.set(uuid, "agent_tries", tries + 1)
  stream.set(uuid, "agent_open", "false")
  hold(uuid, true)
  local reopen = stream.setting("conf_dir") .. "/scripts/reopen.lua " .. uuid
  if wait == 0 then
    run("luarun", reopen .. " open")
  else
    run("sched_api", "+" .. wait .. " none luarun " .. reopen .. " again")
  end
end

-- OPEN_SECONDS after an opening.
function stream.check(uuid, serial)
  local settled = stream.get(uuid, "agent_open") == "true" or stream.get(uuid, "agent_gone") ~= nil
  if not exists(uuid) or number(uuid, "agent_serial") ~= serial or settled then return end
  stream.lost(uuid, "no answer", true)
end

-- Tells the service something, in `fields` as of `json`. False: there is no socket.
function stream.tell(uuid, fields)
  local module = moduleOf(uuid)
  if module == nil or module.tell == nil or stream.get(uuid, "agent_open") ~= "true" then return false end
  module.tell(uuid, stream.json(fields))
  return true
end

function stream.canTransfer(uuid)
  local module = moduleOf(uuid)
  return module ~= nil and module.tell ~= nil and stream.setting("proxy") ~= nil
end

-- The service hears nothing more.
function stream.stop(uuid)
  local module = moduleOf(uuid)
  if module ~= nil and stream.get(uuid, "agent_open") == "true" then run(module.command, uuid .. " stop") end
end

-- A key of the caller's.
function stream.key(uuid, digit, duration)
  if not digit:find("^[0-9*#A-D]$") or stream.isTransferred(uuid) then return end
  stream.tell(uuid, { { "type", "dtmf" }, { "digit", digit }, { "duration", tonumber(duration) } })
end

-- A message of the service's that the module hands on.
function stream.message(uuid, text)
  local type = text:match('^{"type":"([%w_%.]+)"')
  if type == "accepted" then
    local token = text:match('"resumeToken":"([%w%._%-]+)"')
    if token ~= nil then stream.set(uuid, "agent_resume_token", token) end
  elseif type == "hangup" then
    stream.release(uuid, "NORMAL_CLEARING", "hangup")
  elseif type == "dtmf" then
    local digits = text:match('"digits":"([0-9*#A-Dw]+)"')
    if digits ~= nil then run("uuid_send_dtmf", uuid .. " " .. digits) end
  elseif type == "killAudio" then
    run("uuid_break", uuid .. " all")
  elseif type == "error" then
    stream.log(uuid, "service.error", "code=" .. (text:match('"code":"([%w_]+)"') or "-"))
  end
end

-- mod_audio_stream's free edition has written a file.
function stream.play(uuid, text)
  local file = text:match('"file":%s*"([^"\']+)"')
  if file ~= nil then run("uuid_broadcast", uuid .. " " .. file:gsub("\\/", "/") .. " aleg") end
end

-- Runs a script on a thread of its own.
function stream.later(script, arguments)
  run("luarun", stream.setting("conf_dir") .. "/scripts/" .. script .. " " .. table.concat(arguments, " "))
end

-- The call is over: nobody asks for its openings any more.
function stream.ended(uuid, serial)
  for each = 1, serial do run("hash", "delete/agent/" .. uuid .. "-" .. each) end
end

stream.modules = modules

return stream
