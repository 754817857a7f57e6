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
 * What of it is left for a call that is taken up again: the line that was being said, if it was one of them, and those after it.
 * Each line that was heard is a turn of the agent's; once the caller has spoken, nobody is greeted any more.
 */
export function openingLeft(
  agent: AgentConfig,
  { history, heard, unheard }: Pick<PastCall, 'history' | 'heard' | 'unheard'>,
): { current: OpeningLine | null; rest: OpeningLine[] } {
  const turns = history.flatMap((entry) => ('turn' in entry ? [entry.turn] : []));
  const said = turns.filter(({ role }) => role === 'agent').length;
  const callerSpoke = turns.length > said;
  const left = openingOf(agent).slice(said);
  const speaking = heard.length + unheard.length > 0;
  const current = (speaking && left.shift()) || null;
  return { current, rest: left.filter(({ interruptible }) => !(callerSpoke && interruptible)) };
}
