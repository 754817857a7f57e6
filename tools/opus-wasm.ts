import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Takes the WebAssembly out of `libopus-wasm`, which carries it inside JavaScript and compiles it when it is used: a Worker may not
 * compile, it imports a module. Run by whatever bundles the Worker.
 */

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** SHA-256 of the module in version 0.4.0, whose minified names `src/audio/opus.ts` knows. */
const knownDigest = '703ed72e2f5ccb988fedafd996d34ff36b3464bb8fcae6bc1c458c0a30f65579';

/** Where `src/durable/recordings/opus-wasm.ts` imports it from. */
export const opusWasmFile = path.join(root, 'dist', 'libopus.wasm');

/** Writes the file, if it is not there already. @throws where the package holds another module. */
export async function ensureOpusWasm(): Promise<void> {
  if (existsSync(opusWasmFile) && digest(readFileSync(opusWasmFile)) === knownDigest) return;
  const bytes = await compiledBytes();
  if (digest(bytes) !== knownDigest) {
    throw new Error(
      'libopus-wasm holds another WebAssembly module: see src/audio/opus.ts and tools/opus-wasm.ts',
    );
  }
  mkdirSync(path.dirname(opusWasmFile), { recursive: true });
  // Whole or not at all: another process may be doing the same.
  const draft = `${opusWasmFile}.${process.pid}`;
  writeFileSync(draft, bytes);
  renameSync(draft, opusWasmFile);
}

/** The bytes that the package compiles when it is first used. */
async function compiledBytes(): Promise<Uint8Array> {
  const webAssembly = WebAssembly as unknown as { instantiate: (...given: unknown[]) => unknown };
  const { instantiate } = webAssembly;
  let bytes: unknown;
  webAssembly.instantiate = (...given) => {
    bytes = given[0];
    return instantiate(...given);
  };
  try {
    const { loadLibopus } = await import('libopus-wasm');
    await loadLibopus();
  } finally {
    webAssembly.instantiate = instantiate;
  }
  if (!(bytes instanceof Uint8Array)) throw new Error('libopus-wasm has compiled nothing');
  return bytes;
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await ensureOpusWasm();
}
