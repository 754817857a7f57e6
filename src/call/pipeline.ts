import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import type { SampleRate } from '../dialects/native-messages.ts';
import type { ProviderError } from '../providers/ports.ts';
import type { Providers } from '../providers/registry.ts';
import type { AgentConfig } from './agent-config.ts';
import type { Clock } from './clock.ts';
import { Conversation } from './conversation.ts';
import type { Engine } from './engine.ts';
import type { CallEvents, FailureCode } from './events.ts';
import { LatencyLedger } from './latency.ts';
import { Listener, type ListenerHandler, type Utterance } from './listener.ts';
import type { Playout } from './playout.ts';
import { Reply } from './reply.ts';
import { Turns } from './turn.ts';

export interface PipelineOptions {
  clock: Clock;
  events: CallEvents;
  playout: Playout;
  providers: Providers;
  agent: AgentConfig;
  detector: VoiceActivityDetector;
  sampleRate: SampleRate;
  /** Sample 0 of the recording, in milliseconds since the epoch. */
  startTime: number;
  /** Takes back audio that the leg has not played yet. */
  clearLeg(): void;
  /** Asks the leg to tell when a turn's audio has been played. */
  markLeg(name: string): void;
}

/** Speech-to-text → language model → text-to-speech, turn by turn. */
export class Pipeline implements Engine, ListenerHandler {
  readonly #options: PipelineOptions;
  readonly #conversation = new Conversation();
  readonly #turns = new Turns();
  readonly #listener: Listener;
  /** What is being said, or being made to be said. */
  #reply: Reply | null = null;
  /** The caller's turns that are over and not yet transcribed. */
  #awaited = 0;
  #finished = false;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#listener = new Listener({
      clock: options.clock,
      sampleRate: options.sampleRate,
      endpointing: options.agent.endpointing,
      language: options.agent.language,
      detector: options.detector,
      speechToText: options.providers.speechToText,
      handler: this,
    });
  }

  begin(): void {
    const { greeting } = this.#options.agent;
    if (greeting === '') {
      this.#options.events.emit({ type: 'listening' });
      return;
    }
    this.#run(new LatencyLedger(), (reply) => reply.speak(greeting));
  }

  audio(samples: Int16Array, position: number): void {
    this.#listener.push(samples, position);
  }

  async finish(timeoutMs: number): Promise<void> {
    this.#finished = true;
    this.#stopReply();
    await this.#listener.finish(timeoutMs);
  }

  speechStarted(): void {}

  utteranceEnded(): void {
    this.#awaited++;
    this.#options.events.emit({ type: 'thinking', turn: this.#turns.nextId });
  }

  interim(text: string): void {
    this.#options.events.emit({
      type: 'transcript',
      role: 'caller',
      turn: this.#turns.nextId,
      text,
      final: false,
    });
  }

  transcribed(utterance: Utterance, text: string, lost: ProviderError | null): void {
    this.#awaited--;
    if (lost !== null) this.#fail(lost);
    if (text === '') {
      // A noise: whatever was going on goes on.
      this.#listenIfIdle();
      return;
    }
    // What the agent was saying is over, and stands in the record before what the caller said to it.
    this.#stopReply();
    const { events, agent, sampleRate, clock } = this.#options;
    const turn = this.#turns.nextId;
    events.emit({ type: 'transcript', role: 'caller', turn, text, final: true });
    this.#record({
      role: 'caller',
      text,
      startMs: (utterance.startSample * 1000) / sampleRate,
      endMs: (utterance.endSample * 1000) / sampleRate,
      interrupted: false,
      latency: null,
    });
    if (this.#finished) return;
    const ledger = new LatencyLedger();
    ledger.mark('lastVoiced', utterance.lastVoicedAt);
    ledger.mark('decided', utterance.decidedAt);
    ledger.mark('transcript', clock.now());
    const messages = this.#conversation.messages(agent.prompt, agent.historyMessages);
    this.#run(ledger, (reply) => reply.answer(messages));
  }

  transcriptionFailed(_utterance: Utterance, error: ProviderError): void {
    this.#awaited--;
    this.#fail(error);
    const { apology } = this.#options.agent;
    if (this.#finished) return;
    if (this.#reply === null && apology !== '') {
      this.#run(new LatencyLedger(), (reply) => reply.speak(apology));
    } else {
      this.#listenIfIdle();
    }
  }

  usage(usage: Parameters<ListenerHandler['usage']>[0]): void {
    this.#options.events.emit({ type: 'usage', usage });
  }

  /** Begins a turn of the agent. */
  #run(ledger: LatencyLedger, speak: (reply: Reply) => Promise<void>): void {
    const { agent, providers, playout, clock, sampleRate, events } = this.#options;
    const turn = this.#turns.begin(ledger);
    const reply = new Reply({
      turn,
      agent,
      providers,
      playout,
      clock,
      sampleRate,
      onSentence: (text) => {
        events.emit({ type: 'transcript', role: 'agent', turn: turn.id, text, final: false });
      },
      onFirstAudio: () => {
        const parts = ledger.parts();
        if (parts !== null) events.emit({ type: 'latency', turn: turn.id, ...parts });
      },
      onUsage: (usage) => events.emit({ type: 'usage', usage }),
      onFailure: (error) => this.#fail(error),
    });
    this.#reply = reply;
    void speak(reply).then(() => {
      if (!this.#turns.isLive(turn)) return;
      this.#options.markLeg(`turn-${turn.id}`);
      this.#recordReply(reply);
      this.#reply = null;
      this.#listenIfIdle();
    });
  }

  /** Silences the agent at once. What the caller heard of it stands in the record. */
  #stopReply(): void {
    const reply = this.#reply;
    if (reply === null) return;
    this.#reply = null;
    const audible = this.#options.playout.busy;
    this.#turns.cancel('the agent is to be silent');
    this.#options.playout.clear();
    if (audible) this.#options.clearLeg();
    this.#recordReply(reply);
  }

  #recordReply(reply: Reply): void {
    const span = reply.heardSpan();
    const text = reply.heardText();
    if (span === null || text === '') return;
    const { events, startTime } = this.#options;
    events.emit({ type: 'transcript', role: 'agent', turn: reply.turn.id, text, final: true });
    this.#record({
      role: 'agent',
      text,
      startMs: span.from - startTime,
      endMs: span.until - startTime,
      interrupted: reply.cutShort(),
      latency: reply.turn.ledger.parts(),
    });
  }

  #record(turn: Parameters<Conversation['add']>[0]): void {
    this.#options.events.emit({ type: 'turn.recorded', turn: this.#conversation.add(turn) });
  }

  #listenIfIdle(): void {
    if (this.#finished || this.#reply !== null || this.#awaited > 0) return;
    this.#options.events.emit({ type: 'listening' });
  }

  #fail(error: ProviderError): void {
    this.#options.events.emit({
      type: 'failure',
      code: `PROVIDER_${error.failure.toUpperCase()}` as FailureCode,
      provider: error.provider,
      message: error.message,
    });
  }
}
