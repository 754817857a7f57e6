import { readFileSync } from 'node:fs';
import { loadOpus, type Opus } from '../../src/audio/opus.ts';
import { ensureOpusWasm, opusWasmFile } from '../../tools/opus-wasm.ts';
import { compileModule } from './voice-activity.ts';

/** The codec that the Worker has, in Node. */
export async function opusForTests(): Promise<Opus> {
  await ensureOpusWasm();
  return loadOpus(await compileModule(readFileSync(opusWasmFile)));
}
