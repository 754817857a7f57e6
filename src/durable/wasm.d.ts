/** A WebAssembly module that wrangler compiles when it bundles the Worker. */
declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}
