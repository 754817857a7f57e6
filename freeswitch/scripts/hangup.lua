-- Tells the service how a call ended. On a thread of its own, so it may wait: for the service, and for the call's row, which is written when it starts.

local stream = require("stream")
local service = require("service")

local call, cause, q850, by, seconds, transferred = argv[1], argv[2], argv[3], argv[4], argv[5], argv[6]
local TRIES = 3
local TIMEOUT_SECONDS = 5
local WAIT_MS = 3000

local fields = {
  { "callId", call },
  { "cause", cause },
  { "q850", tonumber(q850) or 0 },
  { "by", by },
  { "seconds", tonumber(seconds) or 0 },
  -- Of these, with whom the service has connected the caller.
  { "transferredSeconds", tonumber(transferred or "") },
}

for try = 1, TRIES do
  local status = service.post("hangups", fields, TIMEOUT_SECONDS)
  if status == "204" then return end
  if status == "400" or status == "401" or status == "403" or try == TRIES then
    freeswitch.consoleLog("warning", "event=hangup.untold call=" .. call .. " status=" .. (status or "-") .. "\n")
    return
  end
  freeswitch.msleep(WAIT_MS)
end
