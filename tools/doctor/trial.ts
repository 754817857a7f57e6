import type { Clock } from '../../src/call/clock.ts';
import { unlessAborted } from '../../src/providers/attempts.ts';
import type { Duplex } from '../../src/providers/duplex.ts';
import { ProviderError, type ProviderFailure } from '../../src/providers/ports.ts';
import { createProviders, type ProviderSettings, type Providers } from '../../src/providers/registry.ts';
import type { Dial } from '../../src/providers/vendor-socket.ts';
import type { Member } from './members.ts';
import { systemCode } from './system-code.ts';

/** What one tiny request came to. Times are milliseconds from its beginning, connection and retries included. */
export type Trial =
  | {
      result: 'ok';
      /** To the first text or audio; null for speech to text, which is asked for the whole. */
      firstMs: number | null;
      totalMs: number;
      /** What was noticed by the way, or null. */
      note: string | null;
    }
  | { result: 'failed'; failure: ProviderFailure | 'error'; message: string; afterMs: number };

export interface TrialOptions {
  clock: Clock;
  dial: Dial;
  /** The longest that it may take. */
  limitMs: number;
  /** Gives it up. */
  signal: AbortSignal;
  agent: TrialAgent;
}

/** How a call of the default agent's would ask. */
export interface TrialAgent {
  voice: string;
  /** BCP 47, or absent. */
  language?: string;
  keywords: readonly string[];
  /** Upper bound of a reply. */
  maxOutputTokens: number;
}

const sampleRate = 8000;
const frameSamples = sampleRate / 50;
/** "OK." and what surrounds it. */
const fewTokens = 16;
/** Room for a spoken word: OpenAI counts 20 tokens for a second of a model's speech. */
const spokenTokens = 100;

/** A tone of half a second: louder than what is taken for silence. Its text may be empty. */
const tone = Int16Array.from({ length: sampleRate / 2 }, (_, i) =>
  Math.round(6_000 * Math.sin((2 * Math.PI * 440 * i) / sampleRate)),
);

interface Timing {
  firstMs: number | null;
  note?: string;
}

/** Asks a provider as a call would. Never throws, but the reason of `options.signal` once that has fired. */
export async function tryMember(member: Member, options: TrialOptions): Promise<Trial> {
  const { clock, dial, limitMs, signal, agent } = options;
  const began = clock.now();
  const over = new AbortController();
  const inTime = AbortSignal.any([signal, over.signal]);
  const late = new ProviderError(
    member.settings.vendor,
    'timeout',
    `${member.settings.vendor}/${member.model}: no end within ${limitMs} ms`,
  );
  const timer = clock.after(limitMs, () => over.abort(late));
  let providers: Providers | null = null;
  try {
    providers = createProviders(alone(member), { clock, dial });
    const run: Run = { agent, signal: inTime, sinceMs: () => clock.now() - began };
    const { firstMs, note = null } = await unlessAborted(attempt(member, providers, run), inTime);
    return { result: 'ok', firstMs, totalMs: run.sinceMs(), note };
  } catch (error) {
    signal.throwIfAborted();
    return {
      result: 'failed',
      failure: error instanceof ProviderError ? error.failure : 'error',
      message: messageOf(error),
      afterMs: clock.now() - began,
    };
  } finally {
    timer.cancel();
    // Lets go of what heeds the signal alone.
    over.abort(late);
    for (const provider of Object.values(providers ?? {})) provider?.close?.();
  }
}

/** Settings in which the provider is the only one that is asked: a chain would hide its failure behind the next one. */
function alone(member: Member): ProviderSettings {
  const nobody = { vendor: 'openai', apiKey: 'none' } as const;
  const settings: ProviderSettings = {
    speechToText: [nobody],
    // One request for the whole of it.
    windows: { bufferMs: 0, runAhead: false },
    languageModel: [nobody],
    strongLanguageModel: null,
    textToSpeech: [nobody],
    speechToSpeech: null,
  };
  switch (member.port) {
    case 'speechToText':
      return { ...settings, speechToText: [member.settings] };
    case 'languageModel':
      return { ...settings, languageModel: [member.settings] };
    case 'textToSpeech':
      return { ...settings, textToSpeech: [member.settings] };
    case 'speechToSpeech':
      return { ...settings, speechToSpeech: member.settings };
  }
}

interface Run {
  agent: TrialAgent;
  signal: AbortSignal;
  sinceMs: () => number;
}

function attempt(member: Member, providers: Providers, run: Run): Promise<Timing> {
  switch (member.port) {
    case 'speechToText':
      return hear(providers, run);
    case 'languageModel':
      return think(providers, run);
    case 'textToSpeech':
      return speak(providers, run);
    case 'speechToSpeech':
      return converse(providers, run);
  }
}

async function hear({ speechToText }: Providers, { agent, signal }: Run): Promise<Timing> {
  const session = speechToText.open({
    sampleRate,
    keywords: agent.keywords,
    signal,
    ...(agent.language === undefined ? {} : { language: agent.language }),
  });
  for (let at = 0; at < tone.length; at += frameSamples) session.push(tone.subarray(at, at + frameSamples));
  session.endUtterance();
  for await (const event of session.events) {
    if (event.type === 'failed') throw event.error;
    if (event.type !== 'final') continue;
    if (event.lost !== undefined) throw event.lost;
    return { firstMs: null };
  }
  throw ended();
}

async function think(providers: Providers, run: Run): Promise<Timing> {
  try {
    return { firstMs: await say(providers, run, fewTokens) };
  } catch (error) {
    // A model that thinks before it speaks has spent them without a word; a call leaves it more.
    const most = run.agent.maxOutputTokens;
    if (!(error instanceof ProviderError) || error.failure !== 'malformed' || most <= fewTokens) throw error;
    return { firstMs: await say(providers, run, most), note: `said nothing within ${fewTokens} tokens` };
  }
}

async function say({ languageModel }: Providers, run: Run, maxOutputTokens: number): Promise<number> {
  const messages = [{ role: 'user', content: 'Say OK.' }] as const;
  let firstMs: number | null = null;
  for await (const event of languageModel.reply({ messages, maxOutputTokens }, run.signal)) {
    if (event.type === 'text') firstMs ??= run.sinceMs();
  }
  if (firstMs === null) throw ended();
  return firstMs;
}

async function speak({ textToSpeech }: Providers, { agent, signal, sinceMs }: Run): Promise<Timing> {
  const request = {
    text: 'Hello.',
    sampleRate,
    voice: agent.voice,
    ...(agent.language === undefined ? {} : { language: agent.language }),
  } as const;
  let firstMs: number | null = null;
  for await (const event of textToSpeech.speak(request, signal)) {
    if (event.type === 'audio' && event.samples.length > 0) firstMs ??= sinceMs();
  }
  if (firstMs === null) throw ended();
  return { firstMs };
}

/** A model that decides by itself when to speak need not speak: that it listens is enough. */
async function listens(duplex: Duplex, { agent, signal, sinceMs }: Run): Promise<Timing> {
  const session = duplex.open({
    sampleRate,
    instructions: 'You are asked whether you are there. Say nothing.',
    voice: agent.voice,
    history: () => [],
    signal,
  });
  for await (const event of session.events) {
    if (event.type === 'lost') throw event.error;
    if (event.type !== 'begun') continue;
    session.end();
    return { firstMs: sinceMs() };
  }
  throw ended();
}

async function converse({ speechToSpeech, duplex }: Providers, run: Run): Promise<Timing> {
  if (duplex !== null) return listens(duplex, run);
  const { agent, signal, sinceMs } = run;
  const session = speechToSpeech!.open({
    sampleRate,
    instructions: 'You are asked whether you are there. Say OK, and nothing else.',
    voice: agent.voice,
    keywords: agent.keywords,
    maxOutputTokens: spokenTokens,
    signal,
    ...(agent.language === undefined ? {} : { language: agent.language }),
  });
  session.add({ role: 'user', content: 'Say OK.' });
  const asked = session.respond();
  let firstMs: number | null = null;
  for await (const event of session.events) {
    if (event.type === 'responseFailed') throw event.error;
    if (event.type === 'audio' && event.response === asked) firstMs ??= sinceMs();
    if (event.type !== 'responded') continue;
    if (firstMs === null) throw ended();
    return { firstMs };
  }
  throw ended();
}

function messageOf(error: unknown): string {
  const code = systemCode(error);
  return `${error instanceof Error ? error.message : String(error)}${code === null ? '' : ` (${code})`}`;
}

function ended(): ProviderError {
  return new ProviderError('', 'malformed', 'ended without an answer');
}
