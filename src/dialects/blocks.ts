/** How the messages of a leg have to be cut, in bytes. */
export interface BlockSizes {
  /** Every message is a whole number of these. */
  block: number;
  /** A message is at least so long, but for the last of a sentence. A whole number of blocks, as is `most`. */
  least: number;
  most: number;
  /** Fills the last block of a sentence. */
  silence: number;
}

/** Cuts a stream of bytes into messages of whole blocks, for legs that play anything else badly or not at all. */
export class Blocks {
  readonly #sizes: BlockSizes;
  readonly #send: (bytes: Uint8Array) => void;
  #kept: Uint8Array;
  #keptLength = 0;

  /** `send` is given a view that is valid during the call only. */
  constructor(sizes: BlockSizes, send: (bytes: Uint8Array) => void) {
    this.#sizes = sizes;
    this.#send = send;
    this.#kept = new Uint8Array(2 * sizes.least);
  }

  push(bytes: Uint8Array): void {
    const { block, least } = this.#sizes;
    if (this.#keptLength === 0 && bytes.length >= least) {
      const whole = bytes.length - (bytes.length % block);
      this.#cut(bytes.subarray(0, whole));
      this.#keep(bytes.subarray(whole));
      return;
    }
    this.#keep(bytes);
    if (this.#keptLength < least) return;
    const whole = this.#keptLength - (this.#keptLength % block);
    this.#cut(this.#kept.subarray(0, whole));
    this.#kept.copyWithin(0, whole, this.#keptLength);
    this.#keptLength -= whole;
  }

  /** The rest goes out, filled up with silence. */
  flush(): void {
    if (this.#keptLength === 0) return;
    const { block, silence } = this.#sizes;
    const whole = Math.ceil(this.#keptLength / block) * block;
    this.#reserve(whole);
    this.#kept.fill(silence, this.#keptLength, whole);
    this.#keptLength = 0;
    this.#cut(this.#kept.subarray(0, whole));
  }

  /** Forgets the rest. */
  clear(): void {
    this.#keptLength = 0;
  }

  #cut(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += this.#sizes.most) {
      this.#send(bytes.subarray(at, at + this.#sizes.most));
    }
  }

  #keep(bytes: Uint8Array): void {
    this.#reserve(this.#keptLength + bytes.length);
    this.#kept.set(bytes, this.#keptLength);
    this.#keptLength += bytes.length;
  }

  #reserve(length: number): void {
    if (length <= this.#kept.length) return;
    const larger = new Uint8Array(2 * length);
    larger.set(this.#kept.subarray(0, this.#keptLength));
    this.#kept = larger;
  }
}
