import type { Clock } from '../call/clock.ts';
import { unlessAborted } from './attempts.ts';
import type { Member, Members } from './chain-members.ts';
import type { Failover } from './ports.ts';
import { Watchdog } from './watchdog.ts';

export interface AnswersOptions<Port, Event> {
  members: Members<Port>;
  clock: Clock;
  /** The caller's. When it fires, the iteration ends quietly. */
  signal: AbortSignal;
  ask(port: Port, signal: AbortSignal): AsyncIterable<Event>;
  /** Whether the caller gets to hear something of it: from then on nobody else is asked. */
  isAnswer(event: Event): boolean;
  /** Whether an event before the answer holds without it, as a bill does. */
  outlivesFailure(event: Event): boolean;
}

/**
 * The answer of the first member that gives one. A member is given up for the next one when it fails, or has not begun to
 * answer in time although another one may be asked. At most one member that may not be asked is asked nevertheless, and last.
 *
 * What has begun to answer is not replaced: two halves of different answers make none. Its failure is thrown.
 */
export async function* firstToAnswer<Port, Event extends { type: string }>(
  options: AnswersOptions<Port, Event>,
): AsyncGenerator<Event | Failover, void, void> {
  const { members, signal } = options;
  const asked = new Set<Member<Port>>();
  const first = members.all[0];
  let member = members.best();
  // Whoever keeps the answer must know that another one than the first gave it.
  if (member !== null && member !== first) yield { type: 'failover', error: first.reason };
  while (member !== null && !signal.aborted) {
    asked.add(member);
    const forced = !member.available;
    const failure = yield* answerOf(member, members.available(asked) !== null, options);
    if (failure === null) return;
    const next: Member<Port> | null = forced ? members.available(asked) : members.best(asked);
    if (next === null || failure.answered) throw failure.error;
    yield { type: 'failover', error: failure.error };
    member = next;
  }
}

async function* answerOf<Port, Event extends { type: string }>(
  member: Member<Port>,
  replaceable: boolean,
  options: AnswersOptions<Port, Event>,
) {
  const { clock, signal, isAnswer, outlivesFailure } = options;
  const circuit = member.begin();
  const watchdog = new Watchdog(clock, signal);
  if (replaceable) watchdog.expect('answer', member.deadlineMs);
  /** Came before the answer, and waits for it. */
  const early: Event[] = [];
  let answered = false;
  let iterator: AsyncIterator<Event> | null = null;
  try {
    iterator = options.ask(member.port, watchdog.signal)[Symbol.asyncIterator]();
    for (;;) {
      // A member need not heed its signal.
      const { done, value } = await unlessAborted(iterator.next(), watchdog.signal);
      if (signal.aborted) return null;
      if (done) break;
      if (!answered && !isAnswer(value)) {
        early.push(value);
        continue;
      }
      watchdog.relax();
      answered = true;
      for (const event of early.splice(0)) yield event;
      if (signal.aborted) return null;
      yield value;
      if (signal.aborted) return null;
    }
    if (!answered) throw member.error('malformed', 'answered nothing');
    circuit.succeeded();
    return null;
  } catch (thrown) {
    if (signal.aborted) return null;
    const error = watchdog.failure(member.name) ?? member.errorOf(thrown);
    circuit.failed(error);
    if (error.failure !== 'rejected') member.rest(error);
    for (const event of early) if (outlivesFailure(event)) yield event;
    return { error, answered };
  } finally {
    // Nobody wanted more.
    if (answered) circuit.succeeded();
    circuit.released();
    watchdog.close();
    // Not waited for: a member that hangs would hold the call.
    iterator?.return?.().catch(() => {});
  }
}
