import { describe, expect, it } from 'vitest';
import {
  type AnswerVerdict,
  type CreateAnswerDetection,
  type MachineDetectionOptions,
  wordsAndTime,
} from '../../../src/call/answer-detection.ts';
import { createCall } from '../../support/call-harness.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { takenUp } from '../../support/lost-call.ts';

const greeting = 'you have reached the voice of somebody else who cannot come';

function judged() {
  const clock = new FakeClock();
  const verdicts: AnswerVerdict[] = [];
  let greetingEnded = 0;
  const detection = wordsAndTime({
    clock,
    onVerdict: (verdict) => verdicts.push(verdict),
    onGreetingEnded: () => {
      greetingEnded++;
    },
  });
  return { clock, detection, verdicts, ended: () => greetingEnded };
}

describe('who has answered, by words and time', () => {
  it('is a person who says a few words and waits', () => {
    const { detection, verdicts } = judged();
    detection.words('hello', false);
    expect(verdicts).toEqual([]);
    detection.words('hello who is there', true);
    expect(verdicts).toEqual([{ verdict: 'human', confidence: expect.closeTo(0.78, 2), because: 'short' }]);
  });

  it('is a machine from the ninth word on, before it has finished', () => {
    const { detection, verdicts } = judged();
    detection.words(greeting.split(' ').slice(0, 8).join(' '), false);
    expect(verdicts).toEqual([]);
    detection.words(greeting.split(' ').slice(0, 9).join(' '), false);
    expect(verdicts).toMatchObject([{ verdict: 'machine', because: 'words' }]);
  });

  it('is a machine by what only machines say, in fewer words, and surer', () => {
    for (const text of ['Leave a message', 'Bitte nach dem Signalton', 'Después de la señal', 'Voicemail.']) {
      const { detection, verdicts } = judged();
      detection.words(text, true);
      expect([text, verdicts]).toEqual([text, [{ verdict: 'machine', confidence: 0.95, because: 'phrase' }]]);
    }
  });

  it('is not known where nobody speaks for five seconds, or nothing is decided in fifteen', async () => {
    const silent = judged();
    await silent.clock.advance(4_999);
    expect(silent.verdicts).toEqual([]);
    await silent.clock.advance(1);
    expect(silent.verdicts).toEqual([{ verdict: 'unknown', confidence: 0, because: 'no speech' }]);
    const mumbling = judged();
    mumbling.detection.voice(true);
    await mumbling.clock.advance(14_999);
    mumbling.detection.words('… 1 2 3', true);
    expect(mumbling.verdicts).toEqual([]);
    await mumbling.clock.advance(1);
    expect(mumbling.verdicts).toMatchObject([{ verdict: 'unknown', because: 'no decision' }]);
  });

  it('is judged once', async () => {
    const { clock, detection, verdicts } = judged();
    detection.words('yes', true);
    detection.words(greeting, true);
    await clock.advance(20_000);
    expect(verdicts).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it('has a greeting that is over after two seconds without a voice', async () => {
    const { clock, detection, ended } = judged();
    detection.voice(true);
    detection.words(greeting, false);
    await clock.advance(10_000);
    detection.voice(false);
    await clock.advance(1_900);
    detection.voice(true);
    await clock.advance(5_000);
    detection.voice(false);
    await clock.advance(1_999);
    expect(ended()).toBe(0);
    await clock.advance(1);
    detection.voice(true);
    detection.voice(false);
    await clock.advance(10_000);
    expect(ended()).toBe(1);
  });

  it('has one greeting, also where somebody else decides it after the end of it', async () => {
    const { clock, detection, ended } = judged();
    detection.words(greeting, true);
    await clock.advance(2_000);
    expect(ended()).toBe(1);
    detection.decided('machine');
    await clock.advance(10_000);
    expect(ended()).toBe(1);
  });

  it('has no greeting where somebody else says that it is a person after all', async () => {
    const { clock, detection, ended } = judged();
    detection.words(greeting, true);
    await clock.advance(1_000);
    detection.decided('human');
    await clock.advance(10_000);
    expect(ended()).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('leaves no timer where the call ends first', () => {
    const { clock, detection } = judged();
    detection.voice(false);
    detection.stop();
    expect(clock.pending).toBe(0);
  });
});

describe('a call that we place', () => {
  const outbound = { metadata: { direction: 'outbound' } };
  const agent = (onMachine: MachineDetectionOptions['onMachine'], message = 'Please call us back.') => ({
    machineDetection: { onMachine, message },
  });
  /** A machine's greeting of three seconds comes while the agent greets. */
  async function machine(options: Parameters<typeof createCall>[0]) {
    const call = createCall({ script: { transcripts: [greeting] }, ...options });
    await call.start(outbound);
    await call.speak(3_000);
    await call.silence(800);
    return call;
  }

  it('is hung up where a machine answers, if the campaign wants it so, and its log says why', async () => {
    const call = await machine({ agent: agent('hang up') });
    expect(call.leg.closed).toBe('answering machine');
    await call.clock.advance(30_000);
    expect(call.ofType('call.closed')).toMatchObject([{ reason: 'answering machine', status: 'ended' }]);
    expect(call.ofType('answer.judged')).toMatchObject([
      { verdict: 'machine', because: 'words', by: 'service', afterMs: expect.any(Number) },
    ]);
    const [{ counts }] = call.ofType('call.counted') as [ReturnType<typeof call.ofType<'call.counted'>>[0]];
    expect(counts).toMatchObject({
      answeredBy: 'machine',
      answeredByConfidence: 0.7,
      answeredByJudge: 'service',
    });
  });

  it('leaves a message once the greeting is over, and answers nothing before', async () => {
    const call = await machine({ agent: agent('leave message') });
    expect(call.ofType('answer.judged')).toHaveLength(1);
    await call.speak(4_000);
    await call.silence(1_500);
    expect(call.asked.spoken).toEqual(['Hello there.']);
    expect(call.leg.closed).toBeNull();
    await call.silence(1_000);
    expect(call.asked.spoken).toEqual(['Hello there.', 'Please call us back.']);
    // Over it nobody is listened to.
    await call.speak(600);
    await call.silence(5_000);
    expect(call.leg.closed).toBe('answering machine');
    expect(call.asked.messages).toEqual([]);
    expect(call.transcript().at(-1)).toBe('agent: Please call us back.');
  });

  it('leaves its message once, also where the node says only then that it is a machine', async () => {
    const call = await machine({
      agent: agent('leave message', 'Please call us back. It is about your bicycle.'),
    });
    await call.silence(2_500);
    expect(call.asked.spoken.slice(1)).not.toEqual([]);
    call.from.answeredBy('machine', 1);
    await call.silence(10_000);
    expect(call.leg.closed).toBe('answering machine');
    expect(call.transcript().filter((line) => line.startsWith('agent: Please'))).toHaveLength(1);
  });

  it('talks to the person whom it has taken for a machine, once the node says so', async () => {
    const call = await machine({ agent: agent('leave message') });
    expect(call.asked.messages).toEqual([]);
    call.from.answeredBy('human', 0.9);
    await call.silence(8_000);
    expect(call.asked.messages).toHaveLength(1);
    expect(call.asked.spoken).not.toContain('Please call us back.');
    expect(call.leg.closed).toBeNull();
  });

  it('whose message gets stuck is hung up on all the same', async () => {
    const firstAudioMs = (text: string) => (text.startsWith('Please') ? 10_000_000 : 0);
    const script = { transcripts: [greeting], firstAudioMs };
    const call = await machine({ agent: agent('leave message'), script });
    await call.silence(2_500);
    await call.silence(61_000);
    expect(call.leg.closed).toBe('answering machine');
  });

  it('goes on where the campaign only wants to know', async () => {
    const call = await machine({ agent: agent('go on') });
    await call.silence(2_000);
    expect(call.ofType('answer.judged')).toHaveLength(1);
    expect(call.leg.closed).toBeNull();
    expect(call.asked.messages).toHaveLength(1);
  });

  it('goes on with a person', async () => {
    const call = createCall({ agent: agent('hang up'), script: { transcripts: ['Yes, who is there?'] } });
    await call.start(outbound);
    await call.silence(1_000);
    await call.speak(1_000);
    await call.silence(2_000);
    expect(call.ofType('answer.judged')).toMatchObject([{ verdict: 'human' }]);
    expect(call.asked.messages).toHaveLength(1);
    expect(call.leg.closed).toBeNull();
  });

  it('is judged by its node before anybody else, and once', async () => {
    const call = createCall({ agent: agent('hang up'), script: { transcripts: ['Hello?'] } });
    await call.start(outbound);
    call.from.answeredBy('human', 0.8);
    await call.speak(1_000);
    await call.silence(1_000);
    call.from.answeredBy('machine', 1);
    expect(call.ofType('answer.judged')).toMatchObject([{ verdict: 'human', confidence: 0.8, by: 'node' }]);
    expect(call.leg.closed).toBeNull();
    const other = createCall({ agent: agent('hang up'), script: { transcripts: ['Hello?'] } });
    await other.start(outbound);
    await other.speak(1_000);
    await other.silence(1_000);
    expect(other.ofType('answer.judged')).toMatchObject([{ verdict: 'human', by: 'service' }]);
    // The carrier has heard the beep.
    other.from.answeredBy('machine', 0.9);
    expect(other.leg.closed).toBe('answering machine');
  });

  it('is not judged where nobody asked for it, and a call that comes in never is', async () => {
    const off = await machine({});
    expect(off.ofType('answer.judged')).toEqual([]);
    off.from.answeredBy('machine', 1);
    expect(off.leg.closed).toBeNull();
    const inbound = createCall({ agent: agent('hang up'), script: { transcripts: [greeting] } });
    await inbound.start();
    await inbound.speak(3_000);
    await inbound.silence(1_000);
    expect(inbound.ofType('answer.judged')).toEqual([]);
    expect(inbound.leg.closed).toBeNull();
  });

  describe('whose object is killed', () => {
    const options = { agent: agent('leave message') };
    it('while the machine greets: it is not talked to, and has the message', async () => {
      const first = await machine(options);
      const second = await takenUp(first, { ...options, script: { transcripts: [greeting] } });
      await second.speak(3_000);
      await second.silence(1_900);
      expect(second.asked.messages).toEqual([]);
      expect(second.asked.spoken).toEqual([]);
      await second.silence(6_000);
      expect(second.asked.spoken).toEqual(['Please call us back.']);
      expect(second.leg.closed).toBe('answering machine');
    });

    it('before anybody has judged: it is judged then', async () => {
      const first = createCall(options);
      await first.start(outbound);
      await first.silence(500);
      const second = await takenUp(first, { ...options, script: { transcripts: [greeting] } });
      await second.speak(3_000);
      await second.silence(800);
      expect(second.ofType('answer.judged')).toMatchObject([{ verdict: 'machine', by: 'service' }]);
    });

    it('after its node has judged: nobody judges anew', async () => {
      const first = createCall(options);
      await first.start(outbound);
      first.from.answeredBy('human', 0.9);
      await first.silence(500);
      const second = await takenUp(first, { ...options, script: { transcripts: [greeting] } });
      await second.speak(3_000);
      await second.silence(3_000);
      expect(second.ofType('answer.judged')).toEqual([]);
      expect(second.asked.messages).toHaveLength(1);
    });
  });

  it('may be judged by somebody else’s detection', async () => {
    const carriers: CreateAnswerDetection = ({ clock, onVerdict }) => {
      const timer = clock.after(700, () =>
        onVerdict({ verdict: 'machine', confidence: 0.5, because: 'beep' }),
      );
      return { voice: () => {}, words: () => {}, decided: () => {}, stop: () => timer.cancel() };
    };
    const call = createCall({ agent: agent('hang up'), call: { createAnswerDetection: carriers } });
    await call.start(outbound);
    await call.silence(680);
    expect(call.leg.closed).toBeNull();
    await call.silence(20);
    expect(call.leg.closed).toBe('answering machine');
  });
});
