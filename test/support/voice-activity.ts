import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { loadVoiceActivity, type VoiceActivityFactory } from '../../src/audio/voice-activity.ts';

/** Workers cannot compile, so their types, which hold in this repository, leave it out. */
const webAssembly = WebAssembly as unknown as {
  compile(bytes: Uint8Array): Promise<WebAssembly.Module>;
};

/** The voice activity detector as a Worker has it, its module compiled from the package's file. */
export async function voiceActivityForNode(): Promise<VoiceActivityFactory> {
  return loadVoiceActivity(await compileVoiceActivityModule());
}

export async function compileVoiceActivityModule(): Promise<WebAssembly.Module> {
  const path = fileURLToPath(import.meta.resolve('@echogarden/fvad-wasm/fvad.wasm'));
  return compileModule(await readFile(path));
}

export async function compileModule(bytes: Uint8Array): Promise<WebAssembly.Module> {
  return webAssembly.compile(bytes);
}
