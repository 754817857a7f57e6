import fengari from 'fengari';

const { lua, lauxlib, lualib, to_luastring: luaText } = fengari;
type LuaState = ReturnType<typeof lauxlib.luaL_newstate>;

/** Why a script does not compile; null: it does. */
export function luaError(source: string, name: string): string | null {
  const L = lauxlib.luaL_newstate();
  const result = lauxlib.luaL_loadbuffer(L, luaText(source), null, luaText(`@${name}`));
  return result === lua.LUA_OK ? null : lua.lua_tojsstring(L, -1);
}

/** Sources of what a script may `require`, by name; others are looked for as Lua does. */
export type LuaModules = Readonly<Record<string, string>>;

/**
 * Runs a script in a Lua of its own, as mod_lua does. Its one way to the outside is the global function `host`: a name and texts, and a
 * text or nil back.
 */
export function runLua(
  source: string,
  name: string,
  host: (name: string, ...args: string[]) => string | null,
  modules: LuaModules = {},
): void {
  const L = newLua(modules, (state) => {
    push(state, host(...argumentsOf(state)));
    return 1;
  });
  load(L, source, name);
  if (lua.lua_pcall(L, 0, 0, 0) !== lua.LUA_OK) throw luaFailure(L);
}

/** The same where `host` may take its time: the script stands still meanwhile, others run. */
export async function runLuaWaiting(
  source: string,
  name: string,
  host: (name: string, ...args: string[]) => string | null | Promise<string | null>,
  modules: LuaModules = {},
): Promise<void> {
  let awaited: Promise<string | null> = Promise.resolve(null);
  const L = newLua(modules, (state) => {
    const answer = host(...argumentsOf(state));
    if (answer instanceof Promise) {
      awaited = answer;
      return lua.lua_yield(state, 0);
    }
    push(state, answer);
    return 1;
  });
  const thread = lua.lua_newthread(L);
  load(thread, source, name);
  for (let given = 0; ; given = 1) {
    const result = lua.lua_resume(thread, L, given);
    if (result === lua.LUA_OK) return;
    if (result !== lua.LUA_YIELD) throw luaFailure(thread);
    push(thread, await awaited);
  }
}

function newLua(modules: LuaModules, host: (state: LuaState) => number): LuaState {
  const L = lauxlib.luaL_newstate();
  lualib.luaL_openlibs(L);
  lua.lua_pushjsfunction(L, host);
  lua.lua_setglobal(L, luaText('host'));
  lua.lua_getglobal(L, luaText('package'));
  lua.lua_getfield(L, -1, luaText('preload'));
  for (const [name, source] of Object.entries(modules)) {
    load(L, source, name);
    lua.lua_setfield(L, -2, luaText(name));
  }
  lua.lua_settop(L, 0);
  return L;
}

/** By source: to compile it takes ten times as long as to load what came of it (`lua_dump`). */
const compiled = new Map<string, Uint8Array>();

function load(L: LuaState, source: string, name: string): void {
  const chunk = compiled.get(source) ?? luaText(source);
  if (lauxlib.luaL_loadbuffer(L, chunk, null, luaText(`@${name}`)) !== lua.LUA_OK) throw luaFailure(L);
  if (compiled.has(source)) return;
  const bytes: number[] = [];
  const write = (_: LuaState, part: Uint8Array, length: number) => {
    bytes.push(...part.subarray(0, length));
    return 0;
  };
  lua.lua_dump(L, write, null, false);
  compiled.set(source, Uint8Array.from(bytes));
}

function luaFailure(L: LuaState): Error {
  return new Error(lua.lua_tojsstring(L, -1) ?? 'Lua failed');
}

function argumentsOf(state: LuaState): [string, ...string[]] {
  const args: string[] = [];
  for (let at = 1; ; at++) {
    const arg = lua.lua_tojsstring(state, at);
    if (arg === null) break;
    args.push(arg);
  }
  const [name = '', ...others] = args;
  return [name, ...others];
}

function push(state: LuaState, answer: string | null): void {
  if (answer === null) lua.lua_pushnil(state);
  else lua.lua_pushstring(state, luaText(answer));
}
