import type { TwoChannelRecording } from '../audio/recording.ts';
import { clockTime } from '../model/time.ts';
import { byId } from './dom.ts';

/** The last call, to hear again and to keep. */
export class RecordingView {
  readonly #box = byId('recording', HTMLElement);
  readonly #player = byId('player', HTMLAudioElement);
  readonly #download = byId('download', HTMLAnchorElement);
  readonly #length = byId('recording-length', HTMLElement);
  #url: string | null = null;

  show(recording: TwoChannelRecording, callId: string): void {
    this.hide();
    this.#url = URL.createObjectURL(new Blob(recording.toWav(), { type: 'audio/wav' }));
    this.#player.src = this.#url;
    this.#download.href = this.#url;
    this.#download.download = `${callId}.wav`;
    this.#length.textContent = `${clockTime(recording.durationMs)}, two channels`;
    this.#box.hidden = false;
  }

  /** The next call begins: the recording of the last one is given up. */
  hide(): void {
    this.#box.hidden = true;
    this.#player.removeAttribute('src');
    this.#player.load();
    if (this.#url !== null) URL.revokeObjectURL(this.#url);
    this.#url = null;
  }
}
