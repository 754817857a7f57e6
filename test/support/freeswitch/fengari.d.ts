/** The part of fengari (a Lua 5.3 in JavaScript) that the tests use. https://github.com/fengari-lua/fengari#readme */
declare module 'fengari' {
  type LuaState = { readonly brand: unique symbol };
  type LuaString = Uint8Array;
  export const to_luastring: (text: string) => LuaString;
  export const to_jsstring: (text: LuaString) => string;
  export const lua: {
    LUA_OK: number;
    LUA_YIELD: number;
    lua_pushjsfunction(L: LuaState, f: (L: LuaState) => number): void;
    lua_pushstring(L: LuaState, text: LuaString): void;
    lua_pushnil(L: LuaState): void;
    lua_setglobal(L: LuaState, name: LuaString): void;
    lua_getglobal(L: LuaState, name: LuaString): number;
    lua_getfield(L: LuaState, index: number, name: LuaString): number;
    lua_setfield(L: LuaState, index: number, name: LuaString): void;
    lua_settop(L: LuaState, index: number): void;
    lua_dump(
      L: LuaState,
      write: (L: LuaState, part: Uint8Array, length: number) => number,
      data: null,
      strip: boolean,
    ): number;
    lua_tojsstring(L: LuaState, index: number): string | null;
    lua_pcall(L: LuaState, args: number, results: number, handler: number): number;
    lua_newthread(L: LuaState): LuaState;
    lua_resume(L: LuaState, from: LuaState | null, args: number): number;
    lua_yield(L: LuaState, results: number): number;
  };
  export const lauxlib: {
    luaL_newstate(): LuaState;
    luaL_loadstring(L: LuaState, source: LuaString): number;
    luaL_loadbuffer(L: LuaState, source: LuaString, size: number | null, name: LuaString): number;
  };
  export const lualib: { luaL_openlibs(L: LuaState): void };
}
