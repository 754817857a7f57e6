/**
 * libopus 1.6.1, the WebAssembly inside `libopus-wasm` 0.4.0. The package's own glue compiles it from text, which a Worker may
 * not: `tools/opus-wasm.ts` takes it out, and a Worker imports it as a module. The names of imports and exports are those
 * of the minified build of the version that package.json pins.
 */
interface Exports {
  readonly memory: WebAssembly.Memory;
  malloc(bytes: number): number;
  free(pointer: number): void;
  /** An encoder; 0 and a code at `error` if it cannot be. */
  create(sampleRate: number, channels: number, application: number, error: number): number;
  destroy(encoder: number): void;
  /** 0, or a negative code. */
  set(encoder: number, request: number, value: number): number;
  /** Samples by which the encoder lags behind its input. */
  lookahead(encoder: number): number;
  /** `samples` of each channel, 16-bit, interleaved. Bytes of the packet, or a negative code. */
  encode(encoder: number, pcm: number, samples: number, packet: number, mostBytes: number): number;
}

/** opus_defines.h */
const application = { voip: 2048 };
const requests = { bitrate: 4002, complexity: 4010, signal: 4024 };
const signalVoice = 3001;
/** opus_encode: enough for a packet of any duration at any bitrate. */
const mostPacketBytes = 4000;

const memoryPageBytes = 65_536;
/** 32 MB, which share the isolate's 128 MB. The module starts with 17.1 MB, mostly untouched. */
const mostMemoryPages = 512;

export interface OpusOptions {
  sampleRate: 8000 | 16_000;
  channels: 1 | 2;
  /** Of all channels together, in bits a second; 6,000 to 510,000. */
  bitrate: number;
  /** 0 to 10: how much time is spent on quality. */
  complexity: number;
  /** Samples of one packet, of each channel: 10, 20, 40 or 60 ms. */
  frameSamples: number;
}

/** The encoder of one stream. */
export interface OpusEncoder {
  /** Samples that a decoder has to leave out at the beginning. */
  readonly lookahead: number;
  /** Encodes one frame, channels interleaved; the packet is a copy. @throws {Error} for another length, or after `close`. */
  encode(frame: Int16Array): Uint8Array;
  /** Frees its memory. Idempotent. */
  close(): void;
}

export interface Opus {
  createEncoder(options: OpusOptions): OpusEncoder;
  /** Size of the WebAssembly heap shared by all encoders, in bytes. */
  readonly heapBytes: number;
}

/** libopus refused something; the code is one of opus_defines.h. */
export class OpusError extends Error {
  override readonly name = 'OpusError';

  constructor(what: string, code: number) {
    super(`libopus could not ${what} (${code})`);
  }
}

/**
 * Loads libopus, once per isolate.
 *
 * @throws if the module is another one.
 */
export function loadOpus(wasm: WebAssembly.Module): Opus {
  const opus = instantiate(wasm);
  return {
    createEncoder: (options) => new WasmOpusEncoder(opus, options),
    get heapBytes() {
      return opus.memory.buffer.byteLength;
    },
  };
}

function instantiate(wasm: WebAssembly.Module): Exports {
  let memory: WebAssembly.Memory | undefined;
  const failed = () => {
    throw new Error('libopus aborted');
  };
  const { exports } = new WebAssembly.Instance(wasm, {
    a: {
      /** `setitimer`: nothing here uses it. */
      a: () => 0,
      /** `emscripten_resize_heap`: 1 if the heap has at least this size afterwards, else 0. */
      b: (requestedBytes: number) => {
        const pages = Math.ceil((requestedBytes >>> 0) / memoryPageBytes);
        if (memory === undefined || pages > mostMemoryPages) return 0;
        const missing = pages - memory.buffer.byteLength / memoryPageBytes;
        if (missing > 0) memory.grow(missing);
        return 1;
      },
      /** `proc_exit` and `abort`. */
      c: failed,
      f: failed,
      /** `emscripten_runtime_keepalive_clear` */
      d: () => {},
      /** `fd_write`: it prints only before it aborts. */
      e: () => 0,
    },
  });
  const notIt = () => new Error('not the module of libopus-wasm 0.4.0');
  const found = exports.g;
  if (!(found instanceof WebAssembly.Memory)) throw notIt();
  memory = found;
  const named = (name: string) => {
    const value: unknown = exports[name];
    if (typeof value !== 'function') throw notIt();
    return value as (...numbers: number[]) => number;
  };
  named('h')();
  return {
    memory: found,
    create: named('i'),
    destroy: named('j'),
    encode: named('k'),
    set: named('m'),
    lookahead: named('o'),
    malloc: named('E'),
    free: named('F'),
  };
}

class WasmOpusEncoder implements OpusEncoder {
  readonly lookahead: number;
  readonly #opus: Exports;
  readonly #channels: number;
  readonly #frameSamples: number;
  /** Pointers into the WebAssembly heap; 0 once closed. */
  #encoder = 0;
  #pcm = 0;
  #packet = 0;

  constructor(opus: Exports, options: OpusOptions) {
    this.#opus = opus;
    this.#channels = options.channels;
    this.#frameSamples = options.frameSamples;
    try {
      this.#pcm = opus.malloc(options.frameSamples * options.channels * Int16Array.BYTES_PER_ELEMENT);
      // Also where the code of a failed `create` goes: malloc aligns it.
      this.#packet = opus.malloc(mostPacketBytes);
      if (this.#pcm === 0 || this.#packet === 0) throw new Error('no memory for an Opus encoder');
      this.#encoder = opus.create(options.sampleRate, options.channels, application.voip, this.#packet);
      const code = new DataView(opus.memory.buffer).getInt32(this.#packet, true);
      if (this.#encoder === 0 || code !== 0) throw new OpusError('make an encoder', code);
      this.#set(requests.bitrate, options.bitrate);
      this.#set(requests.complexity, options.complexity);
      this.#set(requests.signal, signalVoice);
      this.lookahead = opus.lookahead(this.#encoder);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  encode(frame: Int16Array): Uint8Array {
    if (this.#encoder === 0) throw new Error('the Opus encoder has been closed');
    if (frame.length !== this.#frameSamples * this.#channels) {
      throw new RangeError(
        `a frame of ${frame.length} samples; ${this.#frameSamples} of each channel are due`,
      );
    }
    const { memory } = this.#opus;
    new Int16Array(memory.buffer).set(frame, this.#pcm >> 1);
    const bytes = this.#opus.encode(
      this.#encoder,
      this.#pcm,
      this.#frameSamples,
      this.#packet,
      mostPacketBytes,
    );
    if (bytes < 0) throw new OpusError('encode', bytes);
    return new Uint8Array(memory.buffer).slice(this.#packet, this.#packet + bytes);
  }

  close(): void {
    if (this.#encoder !== 0) this.#opus.destroy(this.#encoder);
    if (this.#pcm !== 0) this.#opus.free(this.#pcm);
    if (this.#packet !== 0) this.#opus.free(this.#packet);
    this.#encoder = 0;
    this.#pcm = 0;
    this.#packet = 0;
  }

  #set(request: number, value: number): void {
    const code = this.#opus.set(this.#encoder, request, value);
    if (code !== 0) throw new OpusError(`set ${request} to ${value}`, code);
  }
}
