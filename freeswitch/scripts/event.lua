-- Every event that lua.conf.xml binds. Runs on the thread that hands events out, so nothing here waits.

local stream = require("stream")
local transfer = require("transfer")

local uuid = event:getHeader("Unique-ID")
local name = event:getHeader("Event-Name")

local function codeIn(text, field)
  return tonumber(text:match('"' .. field .. '":%s*(%d+)') or "")
end

local function ofModule(what, text)
  if what == "connect" then
    stream.connected(uuid)
    transfer.connected(uuid)
  elseif what == "disconnect" then
    stream.closed(uuid, codeIn(text, "code"))
  elseif what == "error" or what == "connect_failed" then
    stream.failed(uuid, codeIn(text, "http_status"))
  elseif what == "json" then
    local type = text:match('^{"type":"([%w_]+)"')
    if type == "transfer" then transfer.begin(uuid, text)
    elseif type == "cancel_transfer" then transfer.cancel(uuid)
    else stream.message(uuid, text) end
  elseif what == "play" then
    stream.play(uuid, text)
  end
end

if uuid == nil then
  return
elseif name == "CUSTOM" then
  ofModule(event:getHeader("Event-Subclass"):match("::([%w_]+)$"), event:getBody() or "")
elseif name == "DTMF" then
  stream.key(uuid, event:getHeader("DTMF-Digit") or "", event:getHeader("DTMF-Duration"))
elseif name == "CHANNEL_HANGUP_COMPLETE" then
  local call = event:getHeader("variable_agent_call_id")
  if call == nil then return end
  local function known(header) return stream.safe(event:getHeader(header) or "-") end
  local transferredAt = event:getHeader("variable_agent_transfer") == "answered" and tonumber(event:getHeader("variable_agent_transfer_at") or "") or nil
  local transferred = transferredAt ~= nil and tostring(os.time() - transferredAt) or "-"
  freeswitch.consoleLog(
    "notice",
    "event=call.ended call=" .. call
      .. " sip=" .. known("variable_sip_call_id")
      .. " cause=" .. known("variable_hangup_cause")
      .. " q850=" .. known("variable_hangup_cause_q850")
      .. " by=" .. known("variable_sip_hangup_disposition")
      .. " seconds=" .. known("variable_billsec")
      .. " released=" .. known("variable_agent_released")
      .. " transferred=" .. transferred
      .. "\n"
  )
  stream.ended(uuid, tonumber(event:getHeader("variable_agent_serial") or "") or 0)
  local claim = event:getHeader("variable_agent_dial")
  if claim ~= nil and (tonumber(event:getHeader("variable_answer_epoch") or "") or 0) == 0 then
    -- Nobody has answered: there is no call that has ended.
    stream.later("progress.lua", {
      call,
      claim,
      "failed",
      known("variable_hangup_cause"),
      known("variable_hangup_cause_q850"),
      stream.safe(event:getHeader("variable_sip_term_status") or event:getHeader("variable_sip_invite_failure_status") or "-"),
    })
    return
  end
  -- The older service has no such route.
  if event:getHeader("variable_agent_older") == nil then
    stream.later("hangup.lua", {
      call,
      known("variable_hangup_cause"),
      known("variable_hangup_cause_q850"),
      known("variable_sip_hangup_disposition"),
      known("variable_billsec"),
      transferred,
    })
  end
end
