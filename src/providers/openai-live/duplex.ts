import { AsyncQueue } from '../../call/async-queue.ts';
import { type Clock, type Random, systemClock, systemRandom } from '../../call/clock.ts';
import type { Duplex, DuplexEvent, DuplexOptions, DuplexSession } from '../duplex.ts';
import { errorFrom } from '../openai-realtime/errors.ts';
import type { ProviderError } from '../ports.ts';
import type { ServerEvent } from './events.ts';
import { LiveInput } from './input.ts';
import { LiveLink } from './link.ts';
import { appendsOf, sessionConfig } from './session-config.ts';
import { defaultKeepMs, defaultModel, type OpenAiLiveSettings } from './settings.ts';
import { encodeWire, WireDecoder } from './wire-audio.ts';

/** Silence of the model's in which its session may be replaced. */
const silentMs = 1_000;
/** What the loudest sample of silence is less than: some −46 dB of full scale. */
const quietBelow = 160;
/** Delegations of one session: more come from a model in a loop. */
const mostDelegations = 100;

/**
 * Conversations with OpenAI's Live API (https://developers.openai.com/api/docs/guides/live, …/voice-websockets, …/live-conversations,
 * …/live-delegation), with client delegation: what the model delegates, the call does. A session that is lost is followed by one
 * more, which begins with the call's own history; so is one at its limit. A second loss soon after the first ends the
 * conversation. The API tells no language.
 */
export function openAiLiveDuplex(
  settings: OpenAiLiveSettings,
  clock: Clock = systemClock,
  random: Pick<Random, 'fraction'> = systemRandom,
): Duplex {
  const conversations = new Set<LiveConversation>();
  return {
    provider: providerOf(settings),
    open(options) {
      const conversation = new LiveConversation(settings, options, clock, random);
      conversations.add(conversation);
      return conversation;
    },
    close() {
      for (const conversation of conversations) conversation.close();
      conversations.clear();
    },
  };
}

function providerOf({ model = defaultModel }: OpenAiLiveSettings): string {
  return `openai/${model}`;
}

class LiveConversation implements DuplexSession {
  readonly events: AsyncIterable<DuplexEvent>;
  readonly #options: DuplexOptions;
  readonly #provider: string;
  readonly #queue = new AsyncQueue<DuplexEvent>();
  readonly #input: LiveInput;
  readonly #link: LiveLink;
  #decoder: WireDecoder;
  /** Where on the line the session begins, and how far its audio has come. */
  #sessionFromMs = 0;
  #lineMs = 0;
  #loudUntilMs = Number.NEGATIVE_INFINITY;
  #delegations = new Set<string>();
  #failed: ProviderError | null = null;
  #over = false;

  constructor(
    settings: OpenAiLiveSettings,
    options: DuplexOptions,
    clock: Clock,
    random: Pick<Random, 'fraction'>,
  ) {
    const { sampleRate, signal } = options;
    this.#options = options;
    this.#provider = providerOf(settings);
    this.#decoder = new WireDecoder(sampleRate);
    this.events = this.#iterate();
    this.#link = new LiveLink({
      provider: this.#provider,
      settings,
      clock,
      random,
      client: {
        config: () => sessionConfig(settings, options),
        begun: () => this.#begin(),
        event: (event) => this.#take(event),
        used: (audioSeconds) =>
          this.#queue.push({ type: 'usage', usage: { provider: this.#provider, audioSeconds } }),
        lost: (error) => {
          this.#input.close();
          this.#queue.push({ type: 'lost', error });
        },
        over: (error) => {
          this.#failed = error;
          this.close();
        },
        silent: () => this.#lineMs - this.#loudUntilMs >= silentMs,
      },
    });
    this.#input = new LiveInput({
      clock,
      sampleRate,
      keepMs: settings.keepMs ?? defaultKeepMs,
      send: (samples) =>
        this.#link.send({ type: 'session.input_audio.append', audio: encodeWire(samples, sampleRate) }),
    });
    if (signal.aborted) this.close();
    else {
      signal.addEventListener('abort', () => this.close(), { once: true });
      void this.#link.start();
    }
  }

  push(samples: Int16Array): void {
    if (!this.#over) this.#input.push(samples);
  }

  note(text: string): void {
    this.#append('session.thinking.append', text, null);
  }

  instruct(text: string): void {
    this.#append('session.instructions.append', text, null);
  }

  answer(delegation: string, text: string): void {
    // A session knows only its own.
    this.#append('session.commentary.append', text, this.#delegations.has(delegation) ? delegation : null);
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#input.close();
    this.#link.end();
  }

  close(): void {
    this.#over = true;
    this.#input.close();
    this.#link.close();
    this.#queue.end();
  }

  #append(
    type: 'session.thinking.append' | 'session.instructions.append' | 'session.commentary.append',
    text: string,
    delegation: string | null,
  ): void {
    for (const content of appendsOf(text)) this.#link.send({ type, content, delegation_id: delegation });
  }

  #begin(): void {
    this.#sessionFromMs = this.#lineMs;
    this.#decoder = new WireDecoder(this.#options.sampleRate);
    this.#delegations = new Set();
    this.#queue.push({ type: 'begun' });
    this.#input.open();
  }

  #take(event: ServerEvent): void {
    switch (event.type) {
      case 'session.output_audio.delta':
        this.#takeAudio(event.delta);
        return;
      case 'session.input_transcript.delta':
        this.#takeText('callerText', event);
        return;
      case 'session.output_transcript.delta':
        this.#takeText('agentText', event);
        return;
      case 'session.delegation.created': {
        const { id, target } = event.delegation;
        if (target !== 'client' || this.#delegations.size >= mostDelegations) return;
        this.#delegations.add(id);
        this.#queue.push({ type: 'delegated', delegation: id });
        return;
      }
      case 'error':
        // After `session.close` it tells of appends that nobody will read.
        if (!this.#over) this.#queue.push({ type: 'refused', error: errorFrom(this.#provider, event.error) });
    }
  }

  /** Output audio has no position of its own: its pieces follow one another on the session's line. */
  #takeAudio(base64: string): void {
    const samples = this.#decoder.push(base64);
    if (samples === null) {
      this.#link.reject('sent audio that is no base64');
      return;
    }
    if (samples.length === 0) return;
    this.#queue.push({ type: 'audio', samples, atMs: this.#lineMs });
    this.#lineMs += (samples.length * 1000) / this.#options.sampleRate;
    if (samples.some((sample) => sample >= quietBelow || sample <= -quietBelow)) {
      this.#loudUntilMs = this.#lineMs;
    }
  }

  #takeText(
    type: 'callerText' | 'agentText',
    { delta, start_ms: from, end_ms: until }: { delta: string; start_ms: number; end_ms: number },
  ): void {
    this.#queue.push({
      type,
      text: delta,
      fromMs: this.#sessionFromMs + from,
      untilMs: this.#sessionFromMs + Math.max(from, until),
    });
  }

  async *#iterate(): AsyncGenerator<DuplexEvent, void, void> {
    const { signal } = this.#options;
    for await (const event of this.#queue) {
      if (signal.aborted) return;
      yield event;
      if (signal.aborted) return;
    }
    if (this.#failed !== null && !signal.aborted) throw this.#failed;
  }
}
