import type { Entries } from '../kept-entries.ts';
import type { RecordingShape } from './format.ts';

/** What was decided about a call's recording; from then on no change of settings and no other row moves it. */
export interface RecordingPlan extends RecordingShape {
  /** Object key in the bucket: what `call_logs.recording` says. */
  key: string;
  /** A multipart upload that was begun and not completed. */
  upload: string | null;
}

const KEY = 'recording';

/** The call's {@link RecordingPlan} in the object's storage. */
export class RecordingPlans {
  readonly #kv: Entries;

  constructor(kv: Entries) {
    this.#kv = kv;
  }

  read(): RecordingPlan | null {
    return this.#kv.get<RecordingPlan>(KEY) ?? null;
  }

  /** The first decision stands. */
  decide(key: string, { format, channels }: RecordingShape): RecordingPlan {
    const decided = this.read();
    if (decided !== null) return decided;
    const plan: RecordingPlan = { key, format, channels, upload: null };
    this.#kv.put(KEY, plan);
    return plan;
  }

  /** Nothing where nothing is decided: the call has been delivered meanwhile. */
  setUpload(upload: string | null): void {
    const plan = this.read();
    if (plan !== null) this.#kv.put<RecordingPlan>(KEY, { ...plan, upload });
  }

  /** The call has been delivered. */
  forget(): void {
    this.#kv.delete(KEY);
  }
}
