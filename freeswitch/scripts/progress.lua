-- Tells the service how a call that this node places is getting on. On a thread of its own, so it may wait for the service. What it is told again, or
-- after the end, changes nothing there.

local stream = require("stream")
local service = require("service")

local id, claim, state, cause, q850, status = argv[1], argv[2], argv[3], argv[4], argv[5], argv[6]
local TIMEOUT_SECONDS = 5
-- In milliseconds. After that the service has given the node up.
local WAITS_MS = { 500, 1000, 2000, 4000, 8000, 15000 }

local fields = { { "callId", id }, { "claim", claim }, { "state", state } }
if state == "failed" then
  local sip = tonumber(status or "")
  fields[#fields + 1] = { "cause", cause }
  fields[#fields + 1] = { "q850", tonumber(q850 or "") }
  if sip ~= nil and sip >= 300 and sip <= 699 then fields[#fields + 1] = { "sipStatus", sip } end
end

for try = 1, #WAITS_MS + 1 do
  local answer = service.post("dials/progress", fields, TIMEOUT_SECONDS)
  if answer == "204" then return end
  local final = answer ~= nil and answer ~= "503" and answer ~= "429"
  if final or try > #WAITS_MS then
    freeswitch.consoleLog("warning", "event=dial.untold call=" .. id .. " state=" .. state .. " status=" .. (answer or "-") .. "\n")
    return
  end
  freeswitch.msleep(WAITS_MS[try])
end
