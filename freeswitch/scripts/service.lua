-- Requests to the service, with the node's token. They block: only for scripts on threads of their own.

local stream = require("stream")

local service = {}

local api = freeswitch.API()

-- POSTs `fields` (of stream.json) to a path below /api/v1/nodes/. The status, nil where there was no answer, and the answer's text.
function service.post(path, fields, seconds)
  local url = stream.setting("service"):gsub("^ws", "http") .. "/api/v1/nodes/" .. path
  -- X-Node-Token: a blank would end the header. `secure`: mod_curl shows the token to whoever answers, else (validate-certs is false by default).
  local request = url .. " json secure timeout " .. seconds .. " append_headers X-Node-Token:" .. stream.setting("node_token")
    .. " content-type application/json post " .. stream.json(fields)
  local answer = api:execute("curl", request) or ""
  local status = answer:match('"status_code":%s*"?(%d+)')
  if status == nil or status == "0" then return nil, "" end
  local text = answer:match('"body":%s*"(.*)"') or ""
  return status, (text:gsub("\\(.)", "%1"))
end

return service
