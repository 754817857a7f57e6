import { z } from 'zod';
import { decodeBase64 } from '../../audio/base64.ts';
import { AsyncQueue } from '../../call/async-queue.ts';
import { AttemptFailed } from '../attempts.ts';
import { ProviderError } from '../ports.ts';
import { malformed } from '../streamed-request.ts';
import { VendorSocket, type VendorSocketOptions } from '../vendor-socket.ts';
import { failureOfLoss, failureOfMessage } from './errors.ts';

/**
 * elevenlabs.io/docs/eleven-api/guides/how-to/websockets/multi-context-web-socket: "Each connection is limited to 5 concurrent
 * contexts". A closed one counts until its final message; a sixth costs the whole socket.
 */
const mostContexts = 5;

/**
 * AudioOutputMulti and FinalOutputMulti of elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input.
 * The reference writes `isFinal` and `contextId`, the guide's examples `is_final`. Errors are not in the reference: their form is the
 * one of every socket of this vendor.
 */
const messageSchema = z.object({
  audio: z.string().nullish(),
  isFinal: z.boolean().nullish(),
  is_final: z.boolean().nullish(),
  contextId: z.string().nullish(),
  context_id: z.string().nullish(),
  error: z.string().nullish(),
  message: z.string().nullish(),
  code: z.number().nullish(),
});

/** One sentence that is being spoken. */
export interface SpokenContext {
  /**
   * Its audio as it comes, in the format that the socket's address names. Throws `AttemptFailed` where it fails. Ends after the
   * sentence, or when it was cancelled.
   */
  readonly pieces: AsyncIterable<Uint8Array>;
  /** Nothing more of it is yielded. Idempotent. */
  cancel(): void;
}

interface Context {
  queue: AsyncQueue<Uint8Array>;
  failure: AttemptFailed | null;
}

/**
 * One socket on which sentences are spoken, each in a context of its own. What comes for a context that nobody listens to any more is
 * dropped: audio of a cancelled sentence cannot be taken for the next one's.
 */
export class MultiContextSocket {
  /** Resolves when the connection is gone, whoever closed it. */
  readonly ended: Promise<void>;
  readonly #socket: VendorSocket;
  readonly #provider: string;
  readonly #live = new Map<string, Context>();
  /** Cancelled, not yet final: they count among the vendor's five. */
  readonly #draining = new Set<string>();
  #number = 0;
  #retired = false;
  /** Why the connection is gone. */
  #lost: AttemptFailed | null = null;

  private constructor(socket: VendorSocket, provider: string) {
    this.#socket = socket;
    this.#provider = provider;
    this.ended = this.#read();
  }

  /** Throws `ProviderError`. */
  static async open(options: VendorSocketOptions): Promise<MultiContextSocket> {
    return new MultiContextSocket(await VendorSocket.open(options), options.provider);
  }

  /** Whether another sentence may be spoken on it. */
  get usable(): boolean {
    return this.#socket.open && !this.#retired && this.#live.size + this.#draining.size < mostContexts;
  }

  get idle(): boolean {
    return this.#live.size === 0;
  }

  /** @param voiceSettings in the wire's form. */
  speak(text: string, voiceSettings: Record<string, unknown> | null): SpokenContext {
    const id = `s${this.#number++}`;
    const context: Context = { queue: new AsyncQueue(), failure: this.#lost };
    if (this.#lost !== null) {
      context.queue.end();
      return { pieces: piecesOf(context), cancel: () => {} };
    }
    this.#live.set(id, context);
    // InitialiseContext: "Should end with a single space".
    this.#send({
      text: `${text} `,
      context_id: id,
      ...(voiceSettings === null ? {} : { voice_settings: voiceSettings }),
    });
    this.#send({ context_id: id, flush: true });
    // CloseContext: "If it has already been set to flush it will continue flushing", and the final message comes for a closed context
    // only. A message for a context that is gone would open it anew, so an abort finds it closed and sends nothing.
    this.#send({ context_id: id, close_context: true });
    return {
      pieces: piecesOf(context),
      cancel: () => {
        if (!this.#live.delete(id)) return;
        this.#draining.add(id);
        context.queue.end();
        if (this.#retired && this.idle) this.close();
      },
    };
  }

  /** Takes no new sentence, and closes after the last one. */
  retire(): void {
    this.#retired = true;
    if (this.idle) this.close();
  }

  /** Ends what is being spoken. Idempotent. */
  close(): void {
    this.#socket.close();
  }

  #send(message: Record<string, unknown>): void {
    this.#socket.send(JSON.stringify(message));
  }

  async #read(): Promise<void> {
    let failure = new AttemptFailed(
      new ProviderError(this.#provider, 'unavailable', `${this.#provider}: the connection was closed`),
      true,
    );
    try {
      for await (const message of this.#socket.messages) {
        const fatal = this.#take(message);
        if (fatal === null) continue;
        failure = fatal;
        break;
      }
    } catch (error) {
      failure = failureOfLoss(this.#provider, error as ProviderError);
    }
    this.#socket.close();
    this.#lost = failure;
    for (const context of this.#live.values()) {
      context.failure = failure;
      context.queue.end();
    }
    this.#live.clear();
  }

  /** Returns what ends the connection. */
  #take(data: string | Uint8Array): AttemptFailed | null {
    const message = parse(data);
    if (message === null) {
      return new AttemptFailed(
        malformed(this.#provider, 'sent a message that is none of its protocol'),
        false,
      );
    }
    const id = message.contextId ?? message.context_id ?? null;
    const context = id === null ? undefined : this.#live.get(id);
    if (message.error) {
      const failure = failureOfMessage(
        this.#provider,
        message.error,
        message.message ?? null,
        message.code ?? null,
      );
      // One context's error is not the others'.
      if (id === null) return failure;
      this.#finish(id, failure);
      return null;
    }
    if (context !== undefined && message.audio) {
      const audio = decodeBase64(message.audio);
      if (audio === null) {
        this.#finish(
          id!,
          new AttemptFailed(malformed(this.#provider, 'sent audio that is no base64'), false),
        );
        return null;
      }
      context.queue.push(audio);
    }
    if (id !== null && (message.isFinal || message.is_final)) this.#finish(id, null);
    return null;
  }

  #finish(id: string, failure: AttemptFailed | null): void {
    this.#draining.delete(id);
    const context = this.#live.get(id);
    if (context !== undefined) {
      this.#live.delete(id);
      context.failure = failure;
      context.queue.end();
    }
    if (this.#retired && this.idle) this.close();
  }
}

async function* piecesOf(context: Context): AsyncGenerator<Uint8Array, void, void> {
  yield* context.queue;
  if (context.failure !== null) throw context.failure;
}

function parse(data: string | Uint8Array): z.infer<typeof messageSchema> | null {
  if (typeof data !== 'string') return null;
  try {
    const parsed = messageSchema.safeParse(JSON.parse(data));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
