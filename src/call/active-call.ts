import type { Dialect } from '../dialects/dialect.ts';
import type { CallOptions } from './call-options.ts';
import { Playout } from './playout.ts';
import { RecordingTimeline } from './recording-timeline.ts';
import type { RequestedCall } from './requested-call.ts';

/** How a call that is taken up again was stored before. */
export interface StoredRecording {
  chunkSamples: number;
  spooledSamples: number;
}

/** A call that was asked for, with its recording and its way to the caller's ear: what the caller hears is recorded as it is heard. */
export class ActiveCall {
  readonly call: RequestedCall;
  readonly timeline: RecordingTimeline;
  readonly playout: Playout;
  /** How long after the end of a chunk, and how often from then on, it is to be seen whether it can be stored; in milliseconds. */
  readonly checkMs: number;
  /** Whether anything is stored of it: the agent says so, once it is known. */
  recording = false;

  /** @param dialect of the leg that counts at the moment. */
  constructor(
    call: RequestedCall,
    { clock, spoolMs, storeAudio }: Pick<CallOptions, 'clock' | 'spoolMs' | 'storeAudio'>,
    dialect: () => Dialect,
    stored?: StoredRecording,
  ) {
    const { sampleRate, startTime } = call;
    const { pieceMs, leadMs } = dialect();
    this.call = call;
    // A chunk is stored at the first look after its end, and its last frames may come late, or the look: so no more than `spoolMs` is
    // in memory alone.
    this.checkMs = spoolMs / 10;
    const timeline = new RecordingTimeline({
      sampleRate,
      startTime,
      chunkMs: spoolMs - 2 * this.checkMs,
      ...stored,
      store: (chunk) => !this.recording || storeAudio(chunk),
    });
    this.timeline = timeline;
    this.playout = new Playout({
      clock,
      sampleRate,
      pieceMs,
      leadMs,
      send: (samples, text) => dialect().say(samples, text),
      flush: () => dialect().flush(),
      mark: (name) => {
        const leg = dialect();
        if (leg.canMark) leg.mark(name);
        return leg.canMark;
      },
      onHeard: (samples, startedAt) => timeline.agent(samples, startedAt),
    });
  }
}
