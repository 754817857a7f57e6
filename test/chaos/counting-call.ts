import type { Call } from '../../tools/caller/call.ts';
import { placeCall } from '../../tools/caller/place-call.ts';
import type { CallerEvent, CallReport } from '../../tools/caller/types.ts';
import { answersIn, answersTo, numbersIn } from './vendor.ts';
import { sayNumber } from './voice.ts';

/** The longest wait for anything of the conversation, and for a service that was killed, in milliseconds. */
const PATIENCE_MS = 30_000;
const RESUME_MS = 90_000;

export interface CountingCallOptions {
  url: string;
  callId: string;
  /** Said one after the other, each once the one before it was answered. */
  numbers: readonly number[];
  signal: AbortSignal;
  /** The greeting was heard. */
  onBegun(): void;
}

/** A caller who counts aloud and lets the agent finish; who is not answered when the line is back, says it again. */
export function placeCountingCall(options: CountingCallOptions): Promise<CallReport> {
  const ear = new Ear();
  return placeCall({
    url: options.url,
    callId: options.callId,
    userId: 'counter',
    transport: 'binary',
    timeoutMs: PATIENCE_MS,
    resumeMs: RESUME_MS,
    maxCallMs: 280_000,
    signal: options.signal,
    onEvent: (event) => ear.hear(event),
    async script(call) {
      await ear.untilQuiet(call, 'the greeting');
      options.onBegun();
      for (const number of options.numbers) {
        // Twice: once more after the line was lost. Anything beyond is a service that does not answer.
        for (let time = 0; time < 2 && !ear.answered(number); time++) {
          ear.speaks();
          await call.say(sayNumber(number), String(number));
          await ear.untilQuiet(call, `an answer to ${number}`);
        }
        if (!ear.answered(number)) throw new Error(`${options.callId}: ${number} was never answered`);
      }
    },
  });
}

/** What the caller knows from what came over the line. */
class Ear {
  readonly #known = new Set<number>();
  readonly #sentences = new Set<string>();
  /** The agent has ended its turn, and waits. */
  #listening = false;

  hear(event: CallerEvent): void {
    if (event.type === 'dropped') this.#listening = false;
    if (event.type === 'sentence') for (const name of answersIn(event.text)) this.#sentences.add(name);
    if (event.type !== 'message') return;
    const { message } = event;
    if (message.type === 'status')
      this.#listening = message.status === 'ready' && message.message === 'Listening';
    if (message.type === 'transcript' && message.role === 'caller' && message.final)
      for (const number of numbersIn(message.text)) this.#known.add(number);
  }

  speaks(): void {
    this.#listening = false;
  }

  /** The service has understood it: it was told so, or heard an answer. */
  answered(number: number): boolean {
    return this.#known.has(number) || answersTo(number).some((name) => this.#sentences.has(name));
  }

  async untilQuiet(call: Call, what: string): Promise<void> {
    const quiet = () => this.#listening && !call.agentSpeaking && !call.lineDown;
    const patience = PATIENCE_MS + (call.lineDown ? RESUME_MS : 0);
    if (!(await call.waitUntil(quiet, patience)) && !(await call.waitUntil(quiet, RESUME_MS)))
      throw new Error(`${call.callId}: ${what} did not come to its end`);
    // A breath: the service ends the agent's turn when its clock says so, the line is a little behind.
    await call.pause(300);
  }
}
