import opusWasm from '../../../dist/libopus.wasm';
import { loadOpus, type Opus } from '../../audio/opus.ts';

let opus: Opus | null = null;

/** The isolate's codec, loaded when a recording first needs it. */
export function isolateOpus(): Opus {
  opus ??= loadOpus(opusWasm);
  return opus;
}
