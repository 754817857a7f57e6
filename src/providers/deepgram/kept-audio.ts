/**
 * Audio of one utterance, as it goes to the vendor, from the first sample that the vendor has not settled: what has to be sent
 * again on another connection. Bounded: the oldest is dropped. Positions are samples from the start of the utterance.
 */
export class KeptAudio {
  readonly #bytesPerSample: 1 | 2;
  readonly #mostSamples: number;
  #bytes: Uint8Array;
  #start = 0;
  #end = 0;
  #dropped = false;

  constructor(bytesPerSample: 1 | 2, mostSamples: number) {
    this.#bytesPerSample = bytesPerSample;
    this.#mostSamples = mostSamples;
    this.#bytes = new Uint8Array(0);
  }

  /** Position of the first sample that is kept. */
  get start(): number {
    return this.#start;
  }

  /** Position after the last one. */
  get end(): number {
    return this.#end;
  }

  /** Whether audio before `start` had to be dropped before it was settled. */
  get dropped(): boolean {
    return this.#dropped;
  }

  push(bytes: Uint8Array): void {
    const size = this.#bytesPerSample;
    const used = (this.#end - this.#start) * size;
    if (used + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(8_000 * size, 2 * (used + bytes.length)));
      larger.set(this.#bytes.subarray(0, used));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, used);
    this.#end += bytes.length / size;
    if (this.#end - this.#start <= this.#mostSamples) return;
    this.#dropped = true;
    // A tenth at a time: the rest is moved each time.
    this.#cut(this.#end - Math.floor(this.#mostSamples * 0.9));
  }

  /** What lies before this position is settled. */
  forget(position: number): void {
    if (position <= this.#start) return;
    this.#dropped = false;
    this.#cut(Math.min(position, this.#end));
  }

  /** A copy of what is kept from this position on. */
  from(position: number): Uint8Array {
    const size = this.#bytesPerSample;
    const from = Math.max(position, this.#start);
    return this.#bytes.slice((from - this.#start) * size, (this.#end - this.#start) * size);
  }

  #cut(until: number): void {
    const size = this.#bytesPerSample;
    this.#bytes.copyWithin(0, (until - this.#start) * size, (this.#end - this.#start) * size);
    this.#start = until;
  }
}
