import { resamplerRates } from '../../audio/resample.ts';
import type { LineFrame } from './line-audio.ts';
import { type FromProcessor, PROCESSOR, type ProcessorOptions, type ToProcessor } from './messages.ts';

export interface SoundListener {
  /** Every 20 ms. `underruns`: times that the agent's audio was late, so far. */
  frame(frame: LineFrame, underruns: number): void;
  /** Everything up to this mark was heard. */
  markPlayed(name: string): void;
  /** More audio is waiting than any honest service sends. */
  overflow(): void;
  /** The microphone went away: unplugged, or taken back. */
  microphoneLost(): void;
  /** The browser stopped the page's audio, or has let it go on. */
  suspended(isSuspended: boolean): void;
}

/** The microphone was not given. */
export class MicrophoneError extends Error {
  override readonly name = 'MicrophoneError';
  /** Name of the browser's error. */
  readonly reason: string;

  constructor(cause: unknown) {
    super('The microphone was not given', { cause });
    this.reason = cause instanceof DOMException ? cause.name : String(cause);
  }
}

/** @throws {MicrophoneError} */
export async function openMicrophone(): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (cause) {
    throw new MicrophoneError(cause);
  }
}

/** Microphone and loudspeaker, on one clock. Made by `openSound`. */
export class Sound {
  readonly #context: AudioContext;
  readonly #node: AudioWorkletNode;
  readonly #microphone: MediaStream | null;

  constructor(
    context: AudioContext,
    microphone: MediaStream | null,
    lineRate: 8000 | 16000,
    listener: SoundListener,
  ) {
    this.#context = context;
    this.#microphone = microphone;
    const processorOptions: ProcessorOptions = { lineRate };
    this.#node = new AudioWorkletNode(context, PROCESSOR, {
      numberOfInputs: 1,
      numberOfOutputs: 1,
      outputChannelCount: [1],
      channelCount: 1,
      channelCountMode: 'explicit',
      processorOptions,
    });
    this.#node.port.onmessage = ({ data }: MessageEvent<FromProcessor>) => {
      if (data.type === 'frame') listener.frame(data, data.underruns);
      else if (data.type === 'overflow') listener.overflow();
      // What was given to the loudspeaker is heard when it comes out of it.
      else setTimeout(() => listener.markPlayed(data.name), (context.outputLatency || 0) * 1000);
    };
    this.#node.connect(context.destination);
    if (microphone !== null) context.createMediaStreamSource(microphone).connect(this.#node);
    for (const track of microphone?.getTracks() ?? []) track.onended = () => listener.microphoneLost();
    context.onstatechange = () => {
      if (context.state !== 'closed') listener.suspended(context.state !== 'running');
    };
  }

  play(samples: Int16Array<ArrayBuffer>): void {
    this.#tell({ type: 'play', samples }, [samples.buffer]);
  }

  mark(name: string): void {
    this.#tell({ type: 'mark', name });
  }

  clear(): void {
    this.#tell({ type: 'clear' });
  }

  mute(muted: boolean): void {
    this.#tell({ type: 'mute', muted });
  }

  /** Asks the browser to let audio go on; it does so after a key or a touch only. */
  async resume(): Promise<void> {
    await this.#context.resume();
  }

  close(): void {
    this.#tell({ type: 'stop' });
    this.#node.port.onmessage = null;
    this.#context.onstatechange = null;
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    void this.#context.close();
  }

  #tell(message: ToProcessor, transfer: Transferable[] = []): void {
    this.#node.port.postMessage(message, transfer);
  }
}

/**
 * Opens the loudspeaker and joins the microphone to it. To be called from a key or a touch: browsers start no audio
 * otherwise.
 *
 * @param microphone null: a call that only listens.
 */
export async function openSound(
  microphone: MediaStream | null,
  lineRate: 8000 | 16000,
  workletUrl: string,
  listener: SoundListener,
): Promise<Sound> {
  let context = new AudioContext({ latencyHint: 'interactive' });
  if (!(resamplerRates as readonly number[]).includes(context.sampleRate)) {
    await context.close();
    context = new AudioContext({ latencyHint: 'interactive', sampleRate: 48_000 });
  }
  try {
    await context.audioWorklet.addModule(workletUrl);
    void context.resume();
    return new Sound(context, microphone, lineRate, listener);
  } catch (error) {
    await context.close();
    throw error;
  }
}
