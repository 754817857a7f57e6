import type { Random } from '../../src/call/clock.ts';
import type { FakeClock } from './fake-clock.ts';

/** The pauses between attempts (src/providers/attempts.ts), each of which asks for one fraction: without jitter here. */
export class Pauses implements Random {
  count = 0;
  #watchers: (() => void)[] = [];

  id(): string {
    return `id${this.count}`;
  }

  fraction(): number {
    this.count++;
    for (const watcher of this.#watchers.splice(0)) watcher();
    return 0.5;
  }

  /** Resolves once the pause of this number, from 1, has begun. */
  async begun(number: number): Promise<void> {
    while (this.count < number) {
      await new Promise<void>((resolve) => {
        this.#watchers.push(resolve);
      });
    }
  }

  /** Lets the pause of this number pass: 200, 400, 800 ms. */
  async pass(number: number, clock: FakeClock): Promise<void> {
    await this.begun(number);
    await clock.advance(200 * 2 ** (number - 1));
  }
}
