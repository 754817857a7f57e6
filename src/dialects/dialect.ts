import type { CallEvent } from '../call/events.ts';
import type { TransferReport } from '../call/transfer.ts';
import type { ErrorCode, SampleRate } from './native-messages.ts';

/** What a leg asks for when it starts a call, whatever its wire format. */
export interface StartRequest {
  callId: string;
  userId: string;
  metadata: Record<string, unknown>;
  /** Rate of the audio in both directions. */
  sampleRate: SampleRate;
  /** Milliseconds of the caller's audio that has come already, and follows at once: so long ago the call began. */
  earlyMs?: number;
  /** Proof of a client that comes back to its call; null: it starts a new one. */
  resumeToken: string | null;
}

/** What comes from the leg. One message may cause several of these, or none. */
export interface LegHandler {
  start(request: StartRequest): void;
  /** 16-bit PCM at the leg's rate. `samples` is valid during the call only: the dialect reuses it. */
  audio(samples: Int16Array): void;
  dtmf(digit: string, durationMs: number): void;
  /** A mark that was sent by `Dialect.mark` was played. */
  markPlayed(name: string): void;
  /** The agent is to be silent, without a word of the caller's. */
  interrupt(): void;
  /** How a transfer goes that was asked for by `Dialect.transfer`. */
  transfer(report: TransferReport): void;
  hangUp(): void;
  /** The far end has judged by itself who answered. `confidence`: 0 to 1. */
  answeredBy(verdict: 'human' | 'machine', confidence: number): void;
  /** The message broke the protocol; the call goes on. */
  protocolError(code: ErrorCode, message: string): void;
  /** No call can be made of what the leg has told: nobody is named for whom it calls, or its audio is of no known kind. */
  refuse(code: ErrorCode, message: string): void;
}

/**
 * One wire format, for one leg: bytes and text to what comes from the leg, and the call's actions to bytes.
 * Nothing past it knows which carrier is on the line.
 */
export interface Dialect {
  readonly name: string;
  /** Length of the pieces in which this leg likes its audio, in milliseconds. */
  readonly pieceMs: number;
  /** How far ahead of the caller's ear audio may be sent to this leg, in milliseconds. */
  readonly leadMs: number;
  /** Whether `clear` takes back audio that was sent; a leg that cannot plays what it has. */
  readonly canClear: boolean;
  /** Whether the leg tells when a mark was played. */
  readonly canMark: boolean;
  /** Whether this leg's peer ends the call by closing its socket in order; otherwise a closed socket is a lost one. */
  readonly hangsUpByClosing: boolean;
  /** Takes one WebSocket message apart. Never throws. */
  receive(message: string | ArrayBuffer, handler: LegHandler): void;
  /** Audio for the caller; `text` is the sentence, on its first piece only. */
  say(samples: Int16Array, text: string | null): void;
  /** A sentence was sent whole: what was kept back of it to fill a piece goes out. */
  flush(): void;
  /** Forget audio that was sent and not yet played. */
  clear(): void;
  /** Ask to be told when what was sent so far has been played. */
  mark(name: string): void;
  /** Connect the caller to somebody else, or give up after so long. How it goes is told (`LegHandler.transfer`). False: this leg cannot. */
  transfer(to: string, ringSeconds: number): boolean;
  /** Give it up, also where somebody has answered meanwhile: the caller comes back. */
  cancelTransfer(): void;
  /** Send keys, of `0-9 * # A-D`, to the far end. False: this leg cannot. */
  pressDigits(digits: string): boolean;
  /** End the call, in dialects that have a message for it; the socket is closed afterwards in any case. */
  hangUp(): void;
  /** Tell the leg what happens in the call, in dialects that have messages for it. */
  show(event: CallEvent): void;
}

/** Puts one message on the socket; a socket that is closed swallows it. */
export type SendToLeg = (message: string | Uint8Array) => void;
