import type { Call } from '../../tools/caller/call.ts';
import { abuse } from './abusers.ts';
import { Conversation, questionAt, type Scene } from './conversation.ts';
import type { Told } from './facts.ts';
import type { CallPlan } from './plan.ts';
import { interruptions } from './questions.ts';

/** From the greeting to the hang-up of a caller who says nothing: 30 s of silence, two sentences; on a busy machine. */
const SILENT_CALL_MS = 75_000;
/** The agent asks after ten seconds of silence. */
const ASKED_WITHIN_MS = 25_000;
const RETURN_WITHIN_MS = 20_000;
/** Quiet after which an answer is over: a busy machine pauses in the middle of one, and no carrier tells that more is to come. */
const SETTLE_MS = { native: 1_500, carrier: 3_000 };

/** Makes the call of a plan; resolves when it is over, and never rejects. */
export async function makeCall(scene: Scene, plan: CallPlan): Promise<Told> {
  const conversation = new Conversation(scene, plan);
  const settle = { settleMs: plan.wire.as === undefined ? SETTLE_MS.native : SETTLE_MS.carrier };
  switch (plan.kind) {
    case 'talker':
      return conversation.place(async (call) => {
        await call.waitForGreeting();
        for (const [i, question] of plan.questions.entries()) {
          await conversation.ask(call, questionAt(question));
          await call.pause(plan.pausesMs[i] ?? 0);
        }
      }, settle);
    case 'interrupter':
      return conversation.place(async (call) => {
        const interruption = interruptions[plan.interruption]!;
        await conversation.prepare(call, interruption);
        await call.waitForGreeting();
        await conversation.say(call, questionAt(plan.question), false);
        await call.waitForSpeech();
        await call.pause(plan.afterMs);
        await conversation.ask(call, interruption);
      }, settle);
    case 'silent': {
      const { asks } = plan;
      return conversation.place(async (call) => {
        await call.waitForGreeting();
        if (asks === null) {
          await call.waitUntil(() => call.over, SILENT_CALL_MS);
          return;
        }
        await call.waitForSpeech(ASKED_WITHIN_MS);
        await untilQuiet(call);
        await conversation.ask(call, questionAt(asks));
      }, settle);
    }
    case 'dropper':
      return conversation.place(async (call) => {
        const [first, second] = plan.questions;
        await call.waitForGreeting();
        await conversation.say(call, questionAt(first), false);
        await call.pause(plan.afterMs);
        if (!plan.returns) {
          call.drop();
          return;
        }
        call.breakLine();
        await call.waitUntil(() => call.lineDown, RETURN_WITHIN_MS);
        if (!(await call.waitUntil(() => !call.lineDown, RETURN_WITHIN_MS)))
          throw new Error('the line did not come back');
        await untilQuiet(call);
        await conversation.ask(call, questionAt(second));
      }, settle);
    case 'abuser':
      return abuse(scene, plan, conversation);
  }
}

/** Until the agent has said nothing for two seconds. */
async function untilQuiet(call: Call): Promise<void> {
  for (let looks = 0; looks < 20; looks++) {
    await call.waitUntil(() => !call.agentSpeaking, 10_000);
    if (!(await call.waitUntil(() => call.agentSpeaking, 2_000))) return;
  }
}
