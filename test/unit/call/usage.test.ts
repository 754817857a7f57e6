import { describe, expect, it } from 'vitest';
import { withUnreadBills } from '../../../src/providers/unread-bills.ts';
import { createCall } from '../../support/call-harness.ts';

/** What each turn was billed, in order: turn, and what for. */
function bills(call: ReturnType<typeof createCall>): string[] {
  return call.ofType('usage').map(({ turn, usage }) => {
    const { provider, estimated, ...units } = usage;
    return `${turn}: ${provider}${estimated === true ? ' (guess)' : ''} ${Object.keys(units).join(' ')}`;
  });
}

/** Vendors that bill each sentence and each utterance, as the real ones do. */
function createBilledCall(options: Parameters<typeof createCall>[0]) {
  const call = createCall(options);
  const { providers } = call;
  const { speak } = providers.textToSpeech;
  providers.textToSpeech.speak = async function* (request, signal) {
    yield { type: 'usage', usage: { provider: 'scripted/voice', characters: request.text.length } };
    yield* speak(request, signal);
  };
  providers.languageModel = withUnreadBills({ ...providers.languageModel }, 'scripted/model');
  return call;
}

const hear = (call: ReturnType<typeof createCall>) =>
  call.asked.hear({ type: 'usage', usage: { provider: 'scripted/ears', audioSeconds: 1 } });

describe('what a turn costs', () => {
  it('is told with its number: the greeting’s speech, the caller’s words, their answer, and what is made ready for all', async () => {
    const call = createBilledCall({ script: { transcripts: ['When do you open?', 'And on Sunday?'] } });
    await call.start();
    await call.silence(2_000);
    for (let turn = 0; turn < 2; turn++) {
      await call.speak(600);
      hear(call);
      await call.silence(3_000);
    }
    expect(bills(call).filter((bill) => !bill.startsWith('null'))).toEqual([
      '0: scripted/voice characters',
      '1: scripted/ears audioSeconds',
      '1: scripted/voice characters',
      '1: scripted/model outputTokens',
      '2: scripted/ears audioSeconds',
      '2: scripted/voice characters',
      '2: scripted/model outputTokens',
    ]);
    // The hold line, the apology, the question to a silent caller and the goodbye.
    expect(bills(call).filter((bill) => bill.startsWith('null')).length).toBeGreaterThan(2);
  });

  it('is the caller’s turn’s although the transcriber’s bill comes when the answer has begun', async () => {
    const call = createBilledCall({
      agent: { greeting: '' },
      script: { transcripts: ['When do you open?'] },
    });
    await call.start();
    await call.speak(600);
    await call.silence(1_000);
    expect(bills(call)).toContain('0: scripted/voice characters');
    hear(call);
    await call.silence(20);
    expect(bills(call).at(-1)).toBe('0: scripted/ears audioSeconds');
  });

  it('holds an answer that was interrupted, as a guess', async () => {
    const call = createBilledCall({
      agent: { greeting: '' },
      script: {
        transcripts: ['Tell me everything.', 'Stop, stop, that is enough.'],
        answer: () => ['This is a long story. ', 'It goes on and on. ', 'And on.'],
        tokenMs: 3_000,
      },
    });
    await call.start();
    await call.speak(600);
    await call.silence(2_500);
    await call.speak(900);
    await call.silence(600);
    expect(bills(call)).toContain('0: scripted/model (guess) inputTokens outputTokens');
  });

  it('holds an answer that was begun before the turn was over, and thrown away', async () => {
    const call = createBilledCall({
      agent: { greeting: '', speculation: { ahead: 'answer', mostAttempts: 3 } },
      script: {
        transcripts: ['I want to book a table for two.'],
        pauses: ['I want to book a table.'],
        firstTokenMs: 2_000,
      },
    });
    await call.start();
    await call.speak(600);
    await call.silence(300);
    await call.speak(400);
    await call.silence(6_000);
    const ofModel = bills(call).filter((bill) => bill.includes('model'));
    expect(ofModel).toEqual([
      '0: scripted/model (guess) inputTokens outputTokens',
      '0: scripted/model outputTokens',
    ]);
  });
});
