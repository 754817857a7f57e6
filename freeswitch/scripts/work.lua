-- Asks the service for calls to place, and for those to give up, and has itself run again: by lua.conf.xml when FreeSWITCH starts, then by the scheduler.
-- Each time it is one request, on a thread of its own. `failures`: how often in a row nobody answered.

local stream = require("stream")
local service = require("service")

local failures = tonumber(argv[1] or "") or 0
local TIMEOUT_SECONDS = 5
local MOST_WAIT_SECONDS = 30

-- How many more calls FreeSWITCH takes: none before its profile is there, and while it drains.
local function free()
  if not stream.run("sofia", "status profile calls"):find("BIND%-URL") then return 0 end
  if stream.run("fsctl", "pause_check inbound") == "true" then return 0 end
  local calls = tonumber((stream.run("show", "channels count")):match("(%d+) total"))
  if calls == nil then return 0 end
  return math.max(0, math.min(tonumber(stream.setting("max_dials")), tonumber(stream.setting("max_calls")) - calls))
end

local function field(object, name, pattern)
  return object:match('"' .. name .. '":"(' .. pattern .. ')"')
end

-- Nothing gets into a dial string but what has no meaning there: no comma, bar, brace, bracket, quote, dollar, semicolon or blank.
local function destination(object)
  return field(object, "to", "%+%d+") or field(object, "to", "sip:[%w_%.%+%-~]+@[%w%.%-]+:?%d*") or field(object, "to", "sip:[%w%.%-]+:?%d*")
end

local function begin(object)
  local id, claim = field(object, "callId", "[%w%-]+"), field(object, "claim", "[%w%._%-]+")
  local to, from = destination(object), field(object, "callerId", "%+?%d+")
  local user, seconds = field(object, "userId", "[%w%._:@%+%-]+"), object:match('"ringSeconds":(%d+)')
  if not (id and claim and to and from and user and seconds) then
    freeswitch.consoleLog("err", "event=dial.not-understood call=" .. (id or "-") .. "\n")
    return
  end
  stream.later("dial.lua", {
    id,
    claim,
    to,
    from,
    user,
    field(object, "campaignId", "[%w%._:@%+%-]+") or "-",
    field(object, "trunk", "[%w%._%-]+") or "-",
    seconds,
    field(object, "region", "[a-z]+") or "-",
  })
end

-- Seconds until the next time.
local function ask()
  local status, text = service.post("work", { { "free", free() } }, TIMEOUT_SECONDS)
  if status ~= "200" then
    failures = failures + 1
    if failures == 1 then freeswitch.consoleLog("warning", "event=work.unanswered status=" .. (status or "-") .. "\n") end
    -- Not all nodes at once when the service is back.
    math.randomseed(os.time() + #(stream.setting("node_name") or ""))
    local wait = math.min(2 ^ failures, MOST_WAIT_SECONDS)
    return math.ceil(wait / 2 + math.random() * wait / 2)
  end
  failures = 0
  for object in (text:match('"dials":(%b[])') or ""):gmatch("%b{}") do begin(object) end
  for id in (text:match('"cancelled":(%b[])') or ""):gmatch('"([%w%-]+)"') do stream.run("uuid_kill", id .. " ORIGINATOR_CANCEL") end
  return math.max(1, math.ceil((tonumber(text:match('"waitMs":(%d+)') or "") or 1000) / 1000))
end

-- Without a proxy there is no way out.
if stream.setting("proxy") ~= nil and (tonumber(stream.setting("max_dials") or "") or 0) > 0 then
  local done, wait = pcall(ask)
  if not done then
    freeswitch.consoleLog("err", "event=work.failed why=" .. stream.safe(tostring(wait)) .. "\n")
    wait = MOST_WAIT_SECONDS
  end
  stream.run("sched_api", "+" .. wait .. " none luarun " .. stream.setting("conf_dir") .. "/scripts/work.lua " .. failures)
end
