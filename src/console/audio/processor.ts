import { LineAudio } from './line-audio.ts';
import { type FromProcessor, PROCESSOR, type ProcessorOptions, type ToProcessor } from './messages.ts';

/** The part of the page that runs in the browser's audio thread; see `LineAudio`. */
class LineProcessor extends AudioWorkletProcessor {
  readonly #line: LineAudio;
  #running = true;

  constructor(options: AudioWorkletNodeOptions) {
    super();
    const { lineRate } = options.processorOptions as ProcessorOptions;
    this.#line = new LineAudio({
      contextRate: sampleRate,
      lineRate,
      onFrame: ({ sent, heard }) =>
        this.#tell({ type: 'frame', sent, heard, underruns: this.#line.underruns }, [
          sent.buffer,
          heard.buffer,
        ]),
      onMark: (name) => this.#tell({ type: 'mark', name }),
    });
    this.port.onmessage = ({ data }: MessageEvent<ToProcessor>) => this.#take(data);
  }

  override process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const output = outputs[0]?.[0];
    if (output !== undefined) this.#line.process(inputs[0]?.[0] ?? null, output);
    return this.#running;
  }

  #take(message: ToProcessor): void {
    switch (message.type) {
      case 'play':
        if (!this.#line.play(message.samples)) this.#tell({ type: 'overflow' });
        return;
      case 'mark':
        this.#line.mark(message.name);
        return;
      case 'clear':
        this.#line.clear();
        return;
      case 'mute':
        this.#line.muted = message.muted;
        return;
      case 'stop':
        this.#running = false;
        return;
    }
  }

  #tell(message: FromProcessor, transfer: Transferable[] = []): void {
    this.port.postMessage(message, transfer);
  }
}

registerProcessor(PROCESSOR, LineProcessor);
