import { FLOOR_DB, levelDb, Meter, shareOf } from '../audio/level.ts';
import type { LineFrame } from '../audio/line-audio.ts';
import { FRAME_MS } from '../audio/line-audio.ts';
import { byId } from './dom.ts';

/** What the tape shows. */
const TAPE_MS = 16_000;
/** Each line of the tape is so long. */
const STEP_MS = 40;
/** Assistive technology is told the levels this often. */
const TELL_MS = 1_000;
/** With reduced motion the tape moves once in a while instead of all the time. */
const CALM_MS = 2_000;

/** Between these speech lies; in dB of full scale. */
const TAPE_FLOOR_DB = -48;
const TAPE_TOP_DB = -4;

/** 0 to 1. */
function tapeSize(db: number): number {
  return Math.min(1, Math.max(0, (db - TAPE_FLOOR_DB) / (TAPE_TOP_DB - TAPE_FLOOR_DB))) ** 1.5;
}

const sides = ['caller', 'agent'] as const;

/** What shows one party's level: a bar to look at, and a meter for assistive technology. */
class Side {
  readonly meter = new Meter();
  readonly #needle: HTMLElement;
  readonly #told: HTMLMeterElement;

  constructor(name: (typeof sides)[number]) {
    this.#needle = byId(`${name}-needle`, HTMLElement);
    this.#told = byId(`${name}-level`, HTMLMeterElement);
  }

  show(): void {
    this.#needle.style.setProperty('--level', shareOf(this.meter.db).toFixed(3));
    this.#needle.style.setProperty('--peak', shareOf(this.meter.peakDb).toFixed(3));
  }

  tell(): void {
    this.#told.value = Math.round(this.meter.db);
  }
}

/** Both levels: two meters, and a tape of the last seconds that shows who spoke when. */
export class LevelsView {
  readonly #canvas = byId('tape', HTMLCanvasElement);
  readonly #meters = { caller: new Side('caller'), agent: new Side('agent') };
  readonly #tape = { caller: [] as number[], agent: [] as number[] };
  readonly #calm = matchMedia('(prefers-reduced-motion: reduce)');
  /** Loudest of the step that is not complete. */
  #step = { caller: 0, agent: 0, ms: 0 };
  #drawing = false;
  #drawnAt = 0;
  #toldAt = 0;

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
  }

  reset(): void {
    this.#tape.caller = [];
    this.#tape.agent = [];
    this.#request();
  }

  /** The call is over: the needles fall. */
  rest(): void {
    for (const side of sides) this.#meters[side].meter.update(FLOOR_DB, 60_000);
    this.#request();
  }

  frame({ sent, heard }: LineFrame): void {
    const db = { caller: levelDb(sent), agent: levelDb(heard) };
    for (const side of sides) {
      this.#meters[side].meter.update(db[side], FRAME_MS);
      this.#step[side] = Math.max(this.#step[side], tapeSize(db[side]));
    }
    this.#step.ms += FRAME_MS;
    if (this.#step.ms >= STEP_MS) {
      for (const side of sides) {
        this.#tape[side].push(this.#step[side]);
        if (this.#tape[side].length > TAPE_MS / STEP_MS) this.#tape[side].shift();
      }
      this.#step = { caller: 0, agent: 0, ms: 0 };
    }
    this.#request();
  }

  #request(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame((now) => {
      this.#drawing = false;
      this.#showMeters(now);
      if (this.#calm.matches && now - this.#drawnAt < CALM_MS) return;
      this.#drawnAt = now;
      this.#draw();
    });
  }

  #showMeters(now: number): void {
    const tell = now - this.#toldAt >= TELL_MS;
    if (tell) this.#toldAt = now;
    for (const side of sides) {
      this.#meters[side].show();
      if (tell) this.#meters[side].tell();
    }
  }

  /** The caller above the line, the agent below it, now at the right. */
  #draw(): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const ratio = devicePixelRatio;
    if (this.#canvas.width !== Math.round(width * ratio)) this.#canvas.width = Math.round(width * ratio);
    if (this.#canvas.height !== Math.round(height * ratio)) this.#canvas.height = Math.round(height * ratio);
    const brush = this.#canvas.getContext('2d');
    if (brush === null) return;
    const style = getComputedStyle(this.#canvas);
    brush.setTransform(ratio, 0, 0, ratio, 0, 0);
    brush.clearRect(0, 0, width, height);
    const middle = height / 2;
    brush.fillStyle = style.getPropertyValue('--rule');
    brush.fillRect(0, middle - 0.5, width, 1);
    const stepWidth = width / (TAPE_MS / STEP_MS);
    for (const side of sides) {
      const up = side === 'caller' ? -1 : 1;
      const left = width - this.#tape[side].length * stepWidth;
      const base = middle + 2 * up;
      brush.fillStyle = style.getPropertyValue(`--${side}`);
      brush.beginPath();
      brush.moveTo(left, base);
      for (const [i, size] of this.#tape[side].entries()) {
        brush.lineTo(left + (i + 0.5) * stepWidth, base + up * size * (middle - 4));
      }
      brush.lineTo(width, base);
      brush.fill();
    }
  }
}
