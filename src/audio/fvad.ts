/**
 * The functions of `@echogarden/fvad-wasm/fvad.wasm`. The package's own glue is not used: under Node's global
 * `process`, which workerd has, it takes itself to be in Node and fails for want of `import.meta.url`. The names
 * of imports and exports are those of the minified build of version 0.2.0, which package.json pins.
 */
export interface Fvad {
  /** The heap as samples; look it up each time, since it is replaced when the heap grows. */
  readonly heap: Int16Array;
  malloc(bytes: number): number;
  free(pointer: number): void;
  /** A detector, or 0 if there is no memory. */
  create(): number;
  destroy(detector: number): void;
  /** Back to the state after `create`, mode and rate included. */
  reset(detector: number): void;
  /** 0, or −1 if the mode is not 0 to 3. */
  setMode(detector: number, mode: number): number;
  /** 0, or −1 if the rate is not 8000, 16000, 32000 or 48000. */
  setSampleRate(detector: number, sampleRate: number): number;
  /** 1 voice, 0 none, −1 if the frame is not 10, 20 or 30 ms long. */
  process(detector: number, frame: number, samples: number): number;
}

const memoryPageBytes = 65_536;

/**
 * 32 MB, which share the isolate's 128 MB. The module starts with 16.1 MB, mostly untouched: room for some
 * thousands of detectors of 1.7 KB.
 */
const mostMemoryPages = 512;

/** @throws if the module is another one. */
export function instantiateFvad(wasm: WebAssembly.Module): Fvad {
  let memory: WebAssembly.Memory | undefined;
  const { exports } = new WebAssembly.Instance(wasm, {
    a: {
      a: () => {
        throw new Error('an assertion of the voice activity detector failed');
      },
      /** `emscripten_resize_heap`: 1 if the heap has at least this size afterwards, else 0. */
      b: (requestedBytes: number) => {
        const pages = Math.ceil((requestedBytes >>> 0) / memoryPageBytes);
        if (memory === undefined || pages > mostMemoryPages) return 0;
        const missing = pages - memory.buffer.byteLength / memoryPageBytes;
        if (missing > 0) memory.grow(missing);
        return 1;
      },
    },
  });
  const found = exports.c;
  if (!(found instanceof WebAssembly.Memory))
    throw new Error('not the module of @echogarden/fvad-wasm 0.2.0');
  memory = found;
  const named = (name: string) => {
    const value: unknown = exports[name];
    if (typeof value !== 'function') throw new Error('not the module of @echogarden/fvad-wasm 0.2.0');
    return value as (...numbers: number[]) => number;
  };
  const runConstructors = named('d');
  let heap = new Int16Array(found.buffer);
  const fvad: Fvad = {
    get heap() {
      // A heap that has grown leaves a buffer without bytes behind; asking the memory for its own one costs more than a frame's voice activity.
      if (heap.length === 0) heap = new Int16Array(found.buffer);
      return heap;
    },
    create: named('e'),
    malloc: named('f'),
    reset: named('g'),
    destroy: named('h'),
    free: named('i'),
    setMode: named('j'),
    setSampleRate: named('k'),
    process: named('l'),
  };
  runConstructors();
  return fvad;
}
