import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import type { SampleRate } from '../dialects/native-messages.ts';
import type { Providers } from '../providers/registry.ts';
import type { CallActions, ToolCallFacts, ToolRun } from '../tools/tool.ts';
import type { CallTools } from './agent.ts';
import type { AgentConfig } from './agent-config.ts';
import type { CreateAnswerDetection } from './answer-detection.ts';
import type { CallSlots } from './call-slots.ts';
import type { Clock } from './clock.ts';
import type { CallEvents } from './events.ts';
import type { CallFunds } from './funds.ts';
import type { AudioChunk } from './journal.ts';
import type { Leg } from './leg.ts';
import type { PastCall } from './past-call.ts';
import type { PipelineOptions } from './pipeline.ts';
import type { Principal } from './principal.ts';

export interface CallLimits {
  /** The longest call. */
  callMs: number;
  /** The longest wait for `start_call`. */
  startMs: number;
  /** The longest silence of the socket. */
  idleMs: number;
  /** How far the caller's audio may run ahead of real time. */
  aheadMs: number;
  /** How long a call whose socket was lost waits for its client. 0: not at all. */
  graceMs: number;
  /** Messages a second that a leg may send for long. */
  messagesPerSecond: number;
}

/** What a call is lent and told by whoever owns it: the Durable Object, a test. */
export interface CallOptions {
  clock: Clock;
  leg: Leg;
  events: CallEvents;
  principal: Principal;
  providers: Providers;
  speechCache: PipelineOptions['speechCache'];
  /** The id in the URL, or the minted one. */
  callId: string;
  /** The client chose `callId` in the URL: `start_call` must name the same. */
  callIdBound: boolean;
  resumeToken: string;
  /** The call was there before, and its object has lost its memory of it. */
  past?: PastCall;
  limits: CallLimits;
  /** The most of the recording that is in memory alone, in milliseconds: what a crash may cost. */
  spoolMs: number;
  createDetector(sampleRate: SampleRate): VoiceActivityDetector;
  resolveAgent(campaignId: string | null): Promise<AgentConfig>;
  /** The agent's tools for this call, or null. `onRun` is told of each run before its result is used. */
  createTools(
    agent: AgentConfig,
    call: ToolCallFacts,
    actions: CallActions,
    onRun: OnToolRun,
    earlier: readonly ToolRun[],
  ): CallTools | null;
  /** Takes the id for this call. False: it is, or was, another's. */
  claimCallId(callId: string): Promise<boolean>;
  /** Gives an id back of which no call came. */
  releaseCallId(callId: string): void;
  /** Whether calls of this user may be kept where this one is. */
  mayBeHere(userId: string): boolean;
  /** Whether the user's account is blocked, as far as is known. Never rejects. */
  isBlocked(userId: string): Promise<boolean>;
  /** Who pays for the call; null: it costs nothing. */
  funds: CallFunds | null;
  /** How many calls its user has at once; null: nobody counts. */
  slots: CallSlots | null;
  /** Stores a stretch of the recording. True: nobody needs its arrays any more. */
  storeAudio(chunk: AudioChunk): boolean;
  /** What a call that we placed was given along with its request: for its user's call alone. */
  given?: { userId: string; metadata: Record<string, unknown> } | null;
  /** Judges who answers a call that we placed. Default: by words and time. */
  createAnswerDetection?: CreateAnswerDetection;
}

export type OnToolRun = (run: ToolRun) => void;
