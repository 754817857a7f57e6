/** What mod_lua gives a script, made of the function `host`. One line, so that the lines of the script keep their numbers but for the first. */
export const prelude = `
local function channel(name, ...) return host(name, ...) end
freeswitch = {
  API = function() return { execute = function(_, command, arguments) return channel("api", command, arguments) end } end,
  getGlobalVariable = function(name) return channel("setting", name) end,
  msleep = function(ms) channel("sleep", tostring(ms)) end,
  consoleLog = function(_, text) channel("log", text) end,
}
session = {
  get_uuid = function() return channel("uuid") end,
  getVariable = function(_, name) return channel("get", name) end,
  setVariable = function(_, name, value) channel("set", name, value) end,
  execute = function(_, application, data) channel("execute", application, data) end,
  answer = function() channel("execute", "answer", "") end,
  ready = function() return channel("ready") == "true" end,
}
event = {
  getHeader = function(_, name) return channel("header", name) end,
  getBody = function() return channel("body") end,
}
argv = {}
for at = 1, 9 do argv[at] = channel("argument", tostring(at)) end
os.time = function() return tonumber(channel("time")) end
io.lines = function(file) return (channel("file", file) or error("cannot open file " .. file)):gmatch("[^\\n]+") end
package.path = channel("setting", "conf_dir") .. "/scripts/?.lua"
`.replaceAll('\n', ' ');
