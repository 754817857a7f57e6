import { describe, expect, it } from 'vitest';
import { describeTimings, TYPICAL, timingsNamed } from '../../../bench/provider-timings.ts';

describe('the timings of providers that a bench simulates', () => {
  it('are named by provider, each from its published figure, the rest as typical', () => {
    const typical = timingsNamed(TYPICAL);
    // 247 ms after the last word, of which 200 are silence; 528; 288.
    expect(timingsNamed('deepgram+gpt-4o+elevenlabs-flash')).toEqual({
      ...typical,
      speechToTextMs: 47,
      firstTokenMs: 528,
      firstAudioMs: 288,
    });
  });

  it('may be measured ones', () => {
    expect(timingsNamed('280+420+190')).toMatchObject({
      speechToTextMs: 280,
      firstTokenMs: 420,
      firstAudioMs: 190,
    });
    expect(timingsNamed('deepgram+420+aura-2')).toMatchObject({ speechToTextMs: 47, firstAudioMs: 313 });
  });

  it.each([
    '',
    'deepgram',
    'deepgram+gpt-4o',
    'deepgram+gpt-4o+nobody',
    'gpt-4o+deepgram+aura-2',
    '1+2+3+4',
    '1+2+60001',
    '1+2+-3',
    'constructor+1+2',
  ])('are refused as %j, and not taken for others', (name) => {
    expect(() => timingsNamed(name)).toThrow(RangeError);
  });

  it('are all listed, each with its source', () => {
    for (const name of ['deepgram', 'openai', 'twilio-target', 'aura-2']) {
      expect(describeTimings()).toMatch(new RegExp(`    ${name} +\\d+ ms   \\S`));
    }
  });
});
