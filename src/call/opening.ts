import { sentencesOf } from '../text/sentences.ts';
import type { AgentConfig } from './agent-config.ts';
import type { PastCall } from './past-call.ts';

/** What the agent says by itself when a call begins. */
export interface OpeningLine {
  text: string;
  interruptible: boolean;
}

/** Before anybody else speaks: that the call is recorded, which nobody may cut short, and the greeting. */
export function openingOf({
  recording,
  recordingNotice,
  greeting,
  interruption,
}: AgentConfig): OpeningLine[] {
  return [
    { text: recording ? recordingNotice : '', interruptible: false },
    { text: greeting, interruptible: interruption.greeting },
  ].filter(({ text }) => text !== '');
}

/**
 * What of it is left for a call that is taken up again: the line that was being said, if it was one of them, and those after it. Each
 * line that was heard is a turn of the agent's, and one that a restart has cut off is several; once the caller has spoken, nobody is
 * greeted any more.
 */
export function openingLeft(
  agent: AgentConfig,
  { history, heard, unheard }: Pick<PastCall, 'history' | 'heard' | 'unheard'>,
): { current: OpeningLine | null; rest: OpeningLine[] } {
  const opening = openingOf(agent);
  const turns = history.flatMap((entry) => ('turn' in entry ? [entry.turn] : []));
  const said = turns.filter(({ role }) => role === 'agent');
  const speaking = heard[0]?.text ?? unheard[0] ?? null;
  let line = 0;
  for (const [i, { interrupted }] of said.entries()) {
    const next = said[i + 1]?.text ?? speaking;
    const goesOn = interrupted && next !== null && isPartOf(opening[line], next);
    if (!goesOn) line++;
  }
  const left = opening.slice(line);
  const current = (speaking !== null && left.shift()) || null;
  const callerSpoke = turns.length > said.length;
  return { current, rest: left.filter(({ interruptible }) => !(callerSpoke && interruptible)) };
}

/** Whether a text is all or some of what is said of this line. */
function isPartOf(line: OpeningLine | undefined, text: string): boolean {
  return line !== undefined && sentencesOf(line.text).join(' ').includes(text);
}
