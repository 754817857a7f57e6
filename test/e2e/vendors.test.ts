import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AnthropicDouble, events, message } from '../support/anthropic-double.ts';
import { ElevenLabsDouble, piecesOf, speechOf } from '../support/elevenlabs-double.ts';
import { at, type Laptop, startLaptop } from '../support/laptop.ts';
import { OpenAiRealtimeDouble } from '../support/openai-realtime-double.ts';
import { wordErrors } from '../support/word-errors.ts';

/**
 * The built service in workerd, with vendors in place of the embedded engines: doubles of their published contracts on loopback,
 * reached as the vendors are, by sockets that the Worker opens itself. One of them is lost in the middle of a sentence.
 */
const stop = new AbortController();
const question = 'Can you adjust my brakes?';

let realtime: OpenAiRealtimeDouble;
let anthropic: AnthropicDouble;
let elevenlabs: ElevenLabsDouble;

beforeAll(async () => {
  [realtime, anthropic, elevenlabs] = await Promise.all([
    OpenAiRealtimeDouble.start(),
    AnthropicDouble.start(),
    ElevenLabsDouble.start(),
  ]);
});

afterAll(async () => {
  stop.abort();
  await Promise.all([realtime?.close(), anthropic?.close(), elevenlabs?.close()]);
});

const http = (url: string) => url.replace(/^ws/, 'http');

describe('three vendors, one for each port', () => {
  let laptop: Laptop;

  beforeAll(async () => {
    laptop = await startLaptop(stop.signal, {
      STT_PROVIDER: 'openai-realtime',
      STT_MODEL: 'gpt-live-transcribe',
      STT_API_KEY: 'key',
      STT_BASE_URL: http(realtime.baseUrl),
      LLM_PROVIDER: 'anthropic',
      LLM_MODEL: 'claude-haiku-5-5',
      LLM_API_KEY: 'key',
      LLM_BASE_URL: anthropic.baseUrl,
      TTS_PROVIDER: 'elevenlabs',
      TTS_MODEL: 'eleven_flash_v2_5',
      TTS_API_KEY: 'key',
      TTS_BASE_URL: elevenlabs.baseUrl,
      // The embedded voice, under the address that the launcher knows.
      TTS_FALLBACK_PROVIDER: 'openai',
      TTS_FALLBACK_MODEL: 'flite',
      TTS_FALLBACK_VOICE: 'rms',
      AGENT_SPECULATION: 'nothing',
    });
  });
  afterAll(() => laptop?.close());

  it('answer a call; a voice that is lost in mid-sentence is followed by the fall-back’s, without an apology', async () => {
    const first = 'I can do that for you today.';
    const second = 'Adjusting the brakes is fifteen pounds.';
    realtime.hearings.push({ text: question });
    anthropic.script('/v1/messages', events(message({ texts: [`${first} `, second] })));
    const samples = await laptop.speech(question);
    let answered = 0;
    const report = await laptop.call({
      script: async (leg) => {
        await leg.waitForGreeting();
        elevenlabs.sentenceScript.push((sentence) => {
          const [piece] = piecesOf(speechOf(sentence.text, 'ulaw_8000'));
          sentence.audio(piece!);
          sentence.socket.cut();
        });
        await leg.say(samples, question);
        const reply = await leg.waitForReply();
        answered = reply.startMs;
        expect(reply.text).toBe(`${first} ${second}`);
      },
    });
    expect(report.errors.map(({ code }) => code)).toEqual(['INTERNAL_ERROR']);
    const row = await laptop.rowOf(report.callId);
    const [, caller, agent] = row.transcript;
    expect(caller!.text).toBe(question);
    expect(agent!.text.endsWith(second)).toBe(true);
    expect(agent!.text).not.toContain('sorry');
    expect(first.startsWith(agent!.text.replace(second, '').trim())).toBe(true);
    // What reached the caller's ear after the broken sentence is the other voice, and understandable.
    const broken = speechOf(first, 'ulaw_8000').length / 8 / 3;
    const heard = await laptop.recognise(report.heard.subarray(at(answered + broken + 50)));
    expect(wordErrors(second, heard).rate).toBeLessThanOrEqual(0.35);
    expect((row.usage as { provider: string }[]).map(({ provider }) => provider).sort()).toEqual([
      'anthropic/claude-haiku-5-5',
      'elevenlabs/eleven_flash_v2_5',
      'openai/flite',
      'openai/gpt-live-transcribe',
    ]);
    expect(await laptop.failuresOf(report.callId)).toEqual([
      { code: 'PROVIDER_UNAVAILABLE', provider: 'elevenlabs/eleven_flash_v2_5' },
    ]);
    expect(anthropic.unexpected).toEqual([]);
  });
});

describe('one model that hears, thinks and speaks', () => {
  let laptop: Laptop;

  beforeAll(async () => {
    laptop = await startLaptop(stop.signal, {
      S2S_PROVIDER: 'openai-realtime',
      S2S_API_KEY: 'key',
      S2S_BASE_URL: http(realtime.baseUrl),
    });
  });
  afterAll(() => laptop?.close());

  it('answers a call; when it is lost in mid-sentence, the separate providers go on with the conversation', async () => {
    const audio = piecesOf(speechOf('Yes, today I can.', 'ulaw_8000'));
    realtime.hearings.push({ text: question }, { text: 'And tomorrow?' });
    realtime.answers.push(
      { words: ['Yes, ', 'today ', 'I can.'], audio },
      { words: ['Tomorrow ', 'as well.'], audio, holdAfter: 'audio' },
    );
    const samples = await laptop.speech(question);
    const replies: string[] = [];
    const report = await laptop.call({
      script: async (leg) => {
        await leg.waitForGreeting();
        await leg.say(samples, question);
        replies.push((await leg.waitForReply()).text);
        await leg.say(samples, question);
        await leg.waitForSpeech();
        // For good: no session will be granted again.
        realtime.options.upgrade = () => 503;
        for (const session of realtime.sessions) session.connection.cut();
        await leg.waitForReply();
        await leg.say(samples, question);
        replies.push((await leg.waitForReply()).text);
      },
    });
    const row = await laptop.rowOf(report.callId);
    expect(row.status).toBe('ended');
    expect(row.transcript.slice(0, 3).map(({ role, text }) => `${role}: ${text}`)).toEqual([
      'agent: Harbour Cycles, hello. How can I help you?',
      `caller: ${question}`,
      'agent: Yes, today I can.',
    ]);
    expect(row.transcript[3]!.text).toBe('And tomorrow?');
    // The embedded recogniser, dialogue engine and voice have taken over.
    expect(replies.at(-1)).toMatch(/^Adjusting the brakes is fifteen pounds/);
    expect(row.transcript.at(-1)!.text).toMatch(/^Adjusting the brakes is fifteen pounds/);
    const failures = await laptop.failuresOf(report.callId);
    expect(failures.length).toBeGreaterThan(0);
    expect(failures.every(({ provider }) => provider?.startsWith('openai/'))).toBe(true);
    const providers = (row.usage as { provider: string }[]).map(({ provider }) => provider);
    expect(providers).toContain('openai/gpt-realtime-2.1');
    expect(providers).toContain('openai/intents');
  });
});
