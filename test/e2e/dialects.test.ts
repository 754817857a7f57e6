import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FarEndName } from '../../tools/caller/ends/registry.ts';
import { CallError } from '../../tools/caller/errors.ts';
import type { CallOptions, CallReport } from '../../tools/caller/types.ts';
import { at, type Laptop, startLaptop } from '../support/laptop.ts';
import { pooledWordErrors, wordErrors } from '../support/word-errors.ts';

/** What `npm start` runs, called as carriers and switches call: each end speaks its own wire format, and is strict about the service's. */
const stop = new AbortController();
const question = 'Could you tell me where to leave my car?';
const called = '+15550199';
let laptop: Laptop;
let spoken: Int16Array;

beforeAll(async () => {
  const numbers = JSON.stringify({ [called]: { userId: 'shop', campaignId: 'spring' } });
  laptop = await startLaptop(stop.signal, { NUMBERS: numbers });
  spoken = await laptop.speech(question);
});

afterAll(async () => {
  stop.abort();
  await laptop?.close();
});

function call(
  as: FarEndName,
  options: Partial<CallOptions> & Pick<CallOptions, 'script'>,
): Promise<CallReport> {
  return laptop.call({ as, url: `${laptop.url.replace('http', 'ws')}/ws/${as}`, ...options });
}

async function converse(as: FarEndName) {
  const report = await call(as, {
    // No carrier tells that a reply is over, and a busy machine takes its time between two sentences.
    settleMs: 3_000,
    metadata: { phoneNumber: '+15550100', to: called, campaignId: 'autumn' },
    script: async (leg) => {
      await leg.waitForGreeting();
      await leg.say(spoken, question);
      await leg.waitForReply();
      // A key, while it speaks: the agent falls silent, and what it has sent is taken back.
      await leg.say(spoken, question);
      await leg.waitForSpeech();
      leg.dtmf('5');
      await leg.waitUntil(() => !leg.agentSpeaking, 3_000);
    },
  });
  const row = await laptop.rowOf(report.callId);
  const [asked, answer] = ['caller', 'agent'].map((role) =>
    row.transcript.find((turn) => turn.role === role && turn.text.includes('car')),
  );
  if (asked === undefined || answer === undefined)
    throw new Error(`${as}: ${JSON.stringify(row.transcript)}`);
  const reply = report.utterances[0]!.reply!;
  const heard = await laptop.recognise(report.heard.subarray(at(reply.startMs - 100), at(reply.endMs + 100)));
  return { as, report, row, heard, asked: asked.text, answer: answer.text };
}

describe.concurrent('a conversation in the wire format of', () => {
  it('FreeSWITCH’s raw bridge, mod_audio_stream, Twilio and Exotel: heard, answered, interrupted, recorded', async () => {
    const ends = ['freeswitch', 'mod_audio_stream', 'twilio', 'exotel'] as const;
    const calls = await Promise.all(ends.map(converse));
    for (const { as, report, row, answer } of calls) {
      expect(answer).toMatch(/car park/i);
      expect([as, report.errors]).toEqual([as, []]);
      expect(row).toMatchObject({
        user_id: 'caller',
        campaign_id: 'autumn',
        phone_number: '+15550100',
        status: 'ended',
        end_reason: 'hangup',
        metadata: { to: called, carrier: { dialect: as } },
      });
      expect(report.playout.clears).toBeGreaterThanOrEqual(1);
      const recording = await laptop.recordingOf(row.recording as string);
      // It is as long as the call; or as its audio, where a busy machine took the first of it late and together.
      const lasted = Number(row.duration_seconds) * 1000;
      expect(recording.length / 8).toBeGreaterThanOrEqual(lasted - 100);
      expect(recording.length / 8).toBeLessThanOrEqual(Math.max(lasted, report.frames.sent * 20) + 100);
    }
    const understood = calls.map(({ asked }) => wordErrors(question, asked));
    expect(pooledWordErrors(understood).rate).toBeLessThanOrEqual(0.25);
    const heard = calls.map(({ answer, heard }) => wordErrors(answer, heard));
    expect(pooledWordErrors(heard).rate).toBeLessThanOrEqual(0.34);
  });
});

describe.concurrent('a call that names no user', () => {
  const script: CallOptions['script'] = async (leg) => {
    await leg.waitForSpeech();
  };

  it('is its number’s', async () => {
    const report = await call('exotel', { userId: '', metadata: { to: called }, script });
    const row = await laptop.rowOf(report.callId);
    expect([row.user_id, row.campaign_id]).toEqual(['shop', 'spring']);
  });

  it('is refused where the number is nobody’s', async () => {
    const refused = call('exotel', { userId: '', metadata: { to: '+15550123' }, script });
    await expect(refused).rejects.toThrow(CallError);
    await expect(refused).rejects.toMatchObject({ failure: 'closed', code: 4403 });
  });
});
