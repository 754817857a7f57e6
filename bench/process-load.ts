import { monitorEventLoopDelay } from 'node:perf_hooks';

/** How busy a process was: whether it was fast enough for what it measured. */
export interface ProcessLoad {
  /** Share of one core. */
  cpuShare: number;
  /** How late its timers were: 99 of 100 were less so. In milliseconds. */
  loopDelayP99Ms: number;
}

const RESOLUTION_MS = 1;

/** Watches this process between `begin` and `end`. */
export class LoopLoad {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #cpu = process.cpuUsage();
  #since = performance.now();

  begin(): void {
    this.#delay.reset();
    this.#delay.enable();
    this.#cpu = process.cpuUsage();
    this.#since = performance.now();
  }

  end(): ProcessLoad {
    this.#delay.disable();
    const { user, system } = process.cpuUsage(this.#cpu);
    return {
      cpuShare: (user + system) / 1000 / (performance.now() - this.#since),
      loopDelayP99Ms: Math.max(0, this.#delay.percentile(99) / 1e6 - RESOLUTION_MS),
    };
  }
}
