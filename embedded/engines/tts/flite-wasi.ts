/**
 * Just enough of WASI preview 1 for flite: arguments, a clock, and one file kept in memory. Node's own `node:wasi`
 * crashes with this module.
 */

const success = 0;
const badFile = 8;
const notCapable = 76;
const rootFile = 3;
const outputFile = 4;
/** Ten minutes of 16 kHz PCM16: no sentence comes near it. */
const mostOutputBytes = 20 * 1024 * 1024;

class Exit extends Error {
  override readonly name = 'Exit';
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/**
 * Runs the program once, in an instance of its own.
 *
 * @returns what it wrote to the one file that it opened.
 * @throws {Error} if it exits with another code than 0, with what it wrote to its standard streams.
 */
export function runWasi(module: WebAssembly.Module, args: readonly string[]): Uint8Array {
  let memory: WebAssembly.Memory | null = null;
  const bytes = () => new Uint8Array(memory!.buffer);
  const view = () => new DataView(memory!.buffer);
  const encoded = args.map((arg) => new TextEncoder().encode(`${arg}\0`));
  const messages: string[] = [];
  let file = new Uint8Array(64 * 1024);
  let length = 0;
  let position = 0;

  const writeFile = (data: Uint8Array): void => {
    const end = position + data.length;
    if (end > mostOutputBytes) throw new Error('flite writes without end');
    if (end > file.length) {
      const larger = new Uint8Array(Math.min(mostOutputBytes, Math.max(end, 2 * file.length)));
      larger.set(file.subarray(0, length));
      file = larger;
    }
    file.set(data, position);
    position = end;
    length = Math.max(length, end);
  };

  const imports = {
    args_sizes_get(count: number, size: number): number {
      view().setUint32(count, encoded.length, true);
      view().setUint32(
        size,
        encoded.reduce((sum, arg) => sum + arg.length, 0),
        true,
      );
      return success;
    },
    args_get(pointers: number, buffer: number): number {
      let at = buffer;
      for (const [i, arg] of encoded.entries()) {
        view().setUint32(pointers + 4 * i, at, true);
        bytes().set(arg, at);
        at += arg.length;
      }
      return success;
    },
    clock_time_get(_clock: number, _precision: bigint, result: number): number {
      view().setBigUint64(result, BigInt(Date.now()) * 1_000_000n, true);
      return success;
    },
    fd_close: () => success,
    fd_fdstat_get(fd: number, result: number): number {
      if (fd > outputFile) return badFile;
      const characterDevice = 2;
      const directory = 3;
      const regularFile = 4;
      bytes().fill(0, result, result + 24);
      bytes()[result] = fd === rootFile ? directory : fd === outputFile ? regularFile : characterDevice;
      view().setBigUint64(result + 8, 0xffff_ffff_ffff_ffffn, true);
      view().setBigUint64(result + 16, 0xffff_ffff_ffff_ffffn, true);
      return success;
    },
    fd_fdstat_set_flags: () => success,
    fd_prestat_get(fd: number, result: number): number {
      if (fd !== rootFile) return badFile;
      view().setUint32(result, 0, true);
      view().setUint32(result + 4, 1, true);
      return success;
    },
    fd_prestat_dir_name(_fd: number, path: number): number {
      bytes()[path] = '/'.charCodeAt(0);
      return success;
    },
    fd_read(_fd: number, _vectors: number, _count: number, result: number): number {
      view().setUint32(result, 0, true);
      return success;
    },
    fd_seek(fd: number, offset: bigint, whence: number, result: number): number {
      if (fd !== outputFile) return badFile;
      position = Number(offset) + (whence === 0 ? 0 : whence === 1 ? position : length);
      view().setBigUint64(result, BigInt(position), true);
      return success;
    },
    fd_write(fd: number, vectors: number, count: number, result: number): number {
      let written = 0;
      for (let i = 0; i < count; i++) {
        const at = view().getUint32(vectors + 8 * i, true);
        const data = bytes().slice(at, at + view().getUint32(vectors + 8 * i + 4, true));
        written += data.length;
        if (fd === outputFile) writeFile(data);
        else if (messages.length < 32) messages.push(new TextDecoder().decode(data));
      }
      view().setUint32(result, written, true);
      return success;
    },
    path_open(
      _fd: number,
      _lookup: number,
      _path: number,
      _pathLength: number,
      openFlags: number,
      _rights: bigint,
      _inheriting: bigint,
      _flags: number,
      result: number,
    ): number {
      const create = 1;
      // Only the output is created; there is nothing to read.
      if ((openFlags & create) === 0) return notCapable;
      view().setUint32(result, outputFile, true);
      return success;
    },
    proc_exit(code: number): never {
      throw new Exit(code);
    },
  };

  const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: imports });
  memory = instance.exports.memory as WebAssembly.Memory;
  try {
    (instance.exports._start as () => void)();
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    if (error.code !== 0)
      throw new Error(`flite exited with ${error.code}: ${messages.join('').slice(0, 500)}`);
  }
  return file.slice(0, length);
}
