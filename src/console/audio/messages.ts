import type { LineFrame } from './line-audio.ts';

/** Name under which the processor is registered. */
export const PROCESSOR = 'line-audio';

/** `processorOptions` of the node. */
export interface ProcessorOptions {
  lineRate: 8000 | 16000;
}

/** From the page to its audio thread. */
export type ToProcessor =
  | { type: 'play'; samples: Int16Array<ArrayBuffer> }
  | { type: 'mark'; name: string }
  | { type: 'clear' }
  | { type: 'mute'; muted: boolean }
  | { type: 'stop' };

/** From the audio thread to the page. `underruns`: times that the network was late, so far. */
export type FromProcessor =
  | ({ type: 'frame'; underruns: number } & LineFrame)
  | { type: 'mark'; name: string }
  | { type: 'overflow' };
