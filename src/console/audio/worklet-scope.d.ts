/** What an audio worklet's scope has beside a page's; TypeScript's library does not know it. */
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
  process(inputs: Float32Array[][], outputs: Float32Array[][], parameters: unknown): boolean;
}
declare function registerProcessor(
  name: string,
  processor: new (options: AudioWorkletNodeOptions) => AudioWorkletProcessor,
): void;
/** Of the context, in Hz. */
declare const sampleRate: number;
