-- Places one call. The service is asked first whether it is this node's to dial: it says so once, for ever, to one claim of one node. On a thread of its own.

local stream = require("stream")
local service = require("service")

local id, claim, to, from, user, campaign, trunk, seconds, region = argv[1], argv[2], argv[3], argv[4], argv[5], argv[6], argv[7], argv[8], argv[9]
local TRIES = 3
-- All tries together take less than a claim lasts (CLAIM_MS, REPEAT_MS of the service).
local TIMEOUT_SECONDS = 3
-- For the channel's own end to be told first, which knows SIP's status.
local AFTER_MS = 2000

local function mayDial()
  for _ = 1, TRIES do
    local status = service.post("dials/begin", { { "callId", id }, { "claim", claim } }, TIMEOUT_SECONDS)
    if status ~= nil and status ~= "503" then return status == "204" end
  end
  return false
end

local function tell(state)
  return "'luarun " .. stream.setting("conf_dir") .. "/scripts/progress.lua " .. id .. " " .. claim .. " " .. state .. "'"
end

local function dialString()
  local proxy = stream.setting("proxy")
  local variables = {
    -- The same call twice is refused by FreeSWITCH itself.
    "origination_uuid=" .. id,
    "origination_caller_id_number=" .. from,
    "origination_caller_id_name=" .. from,
    "originate_timeout=" .. seconds,
    -- What is not answered is not the called party: announcements of networks are sent before.
    "ignore_early_media=true",
    "outbound_redirect_fatal=true",
    "sip_h_X-Call-Id=" .. id,
    "agent_call_id=" .. id,
    "agent_dial=" .. claim,
    "agent_direction=outbound",
    "agent_user=" .. user,
    "agent_to=" .. to,
    "agent_from=" .. from,
    "api_on_ring=" .. tell("ringing"),
    "api_on_pre_answer=" .. tell("ringing"),
    "api_on_answer=" .. tell("answered"),
  }
  local function add(variable) variables[#variables + 1] = variable end
  if campaign ~= "-" then add("agent_campaign=" .. campaign) end
  if region ~= "-" then add("agent_region=" .. region) end
  if trunk ~= "-" then
    add("agent_trunk=" .. trunk)
    add("sip_h_X-Trunk=" .. trunk)
  end
  -- It changes no rate.
  if stream.setting("stream_module") == "mod_twilio_stream" then add("absolute_codec_string='PCMU,PCMA'") end
  if stream.setting("srtp") == "mandatory" then add("rtp_secure_media=mandatory") end
  local target = to:find("^sip:") and to .. ";fs_path=sip:" .. proxy or to .. "@" .. proxy
  return "{" .. table.concat(variables, ",") .. "}sofia/calls/" .. target
end

local function log(event, details)
  freeswitch.consoleLog("notice", "event=" .. event .. " call=" .. id .. " " .. details .. "\n")
end

if mayDial() then
  log("dial.begun", "trunk=" .. trunk .. " seconds=" .. seconds)
  -- It ends with the answer, or without one.
  local answer = stream.run("originate", dialString() .. " dialled XML calls")
  if not answer:find("^%+OK") then
    local cause = answer:match("^%-ERR%s+([A-Z0-9_]+)") or "NORMAL_UNSPECIFIED"
    log("dial.unanswered", "cause=" .. cause)
    freeswitch.msleep(AFTER_MS)
    stream.later("progress.lua", { id, claim, "failed", cause })
  end
else
  log("dial.not-begun", "trunk=" .. trunk)
end
