import fengari from 'fengari';

const { lua, lauxlib, lualib, to_luastring: luaText } = fengari;

/** Why a script does not compile; null: it does. */
export function luaError(source: string, name: string): string | null {
  const L = lauxlib.luaL_newstate();
  const result = lauxlib.luaL_loadbuffer(L, luaText(source), null, luaText(`@${name}`));
  return result === lua.LUA_OK ? null : lua.lua_tojsstring(L, -1);
}

/**
 * Runs a script in a Lua of its own, as mod_lua does. Its one way to the outside is the global function `host`: a name and texts, and a
 * text or nil back.
 */
export function runLua(
  source: string,
  name: string,
  host: (name: string, ...args: string[]) => string | null,
): void {
  const L = lauxlib.luaL_newstate();
  lualib.luaL_openlibs(L);
  lua.lua_pushjsfunction(L, (state) => {
    const args: string[] = [];
    for (let at = 1; ; at++) {
      const arg = lua.lua_tojsstring(state, at);
      if (arg === null) break;
      args.push(arg);
    }
    const answer = host(args[0] ?? '', ...args.slice(1));
    if (answer === null) lua.lua_pushnil(state);
    else lua.lua_pushstring(state, luaText(answer));
    return 1;
  });
  lua.lua_setglobal(L, luaText('host'));
  const loaded = lauxlib.luaL_loadbuffer(L, luaText(source), null, luaText(`@${name}`));
  if (loaded !== lua.LUA_OK || lua.lua_pcall(L, 0, 0, 0) !== lua.LUA_OK) {
    throw new Error(lua.lua_tojsstring(L, -1) ?? 'Lua failed');
  }
}
