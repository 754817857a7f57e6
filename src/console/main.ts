import { AccessError } from './access.ts';
import { MicrophoneError } from './audio/sound.ts';
import type { LineSettings } from './call.ts';
import { describe } from './model/event-log.ts';
import { explainMicrophone, insecureContext } from './model/explain.ts';
import type { ReceivedMessage } from './model/server-message.ts';
import { Session } from './session.ts';
import { ControlsView } from './view/controls-view.ts';
import { EventsView } from './view/events-view.ts';
import { KeypadView } from './view/keypad-view.ts';
import { LatencyView } from './view/latency-view.ts';
import { LevelsView } from './view/levels-view.ts';
import { NoticeView } from './view/notice-view.ts';
import { RecordingView } from './view/recording-view.ts';
import { TranscriptView } from './view/transcript-view.ts';
import { TransferView } from './view/transfer-view.ts';

/** The clock beside the title, and the screen that must not go dark. */
const TICK_MS = 250;

const notice = new NoticeView();
const transcript = new TranscriptView();
const latency = new LatencyView();
const levels = new LevelsView();
const events = new EventsView();
const recording = new RecordingView();
const keypad = new KeypadView((digit) => session?.press(digit));
const transfer = new TransferView((report) => session?.transfer(report));
const controls = new ControlsView({
  start: () => void start(true),
  mute: () => {
    session?.setMuted(!session.muted);
    controls.muted(session?.muted ?? false);
  },
  interrupt: () => session?.interrupt(),
  keypad: () => document.getElementById('keypad-toggle')?.click(),
  press: (digit) => keypad.press(digit),
  hangUp: () => {
    controls.state('Hanging up');
    session?.hangUp();
  },
});

let session: Session | null = null;
let ticking: ReturnType<typeof setInterval> | undefined;
let awake: WakeLockSentinel | null = null;
let frames = 0;

if (!isSecureContext) notice.show(insecureContext);
// A call whose page is closed would wait for it to come back.
addEventListener('pagehide', () => session?.hangUp());

async function start(withMicrophone: boolean): Promise<void> {
  if (session !== null || !controls.idle) return;
  if (!isSecureContext) {
    notice.show(insecureContext);
    return;
  }
  notice.hide();
  controls.show('starting');
  controls.state(withMicrophone ? 'Waiting for the microphone' : 'Connecting');
  let callId = '';
  try {
    session = await Session.open({
      line: lineOf(controls.line),
      phoneNumber: controls.phoneNumber,
      accessToken: controls.accessToken,
      withMicrophone,
      workletUrl: document.body.dataset.worklet ?? '',
      listener: {
        started: (id) => {
          callId = id;
          begin();
        },
        received: (message, atMs) => {
          events.add(describe('received', message, atMs));
          take(message, atMs);
        },
        sent: (message, atMs) => events.add(describe('sent', message, atMs)),
        broken: (isBroken) => controls.state(isBroken ? 'Connecting again' : 'In a call'),
        noted: (what, detail, atMs) => events.add({ atMs, direction: 'page', what, detail }),
        frame: (frame, underruns) => {
          levels.frame(frame);
          frames++;
          if (frames % 50 === 0) events.count(frames, underruns);
        },
        audioHeld: (isHeld) => {
          if (isHeld) {
            notice.show(
              {
                title: 'The browser holds the sound back',
                text: 'Go on, and you hear the agent again.',
                kind: 'problem',
              },
              { retry: () => void session?.resumeAudio() },
            );
          } else notice.hide();
        },
        ended: (why, recorded) => {
          end();
          if (recorded !== null) recording.show(recorded, callId);
          if (why.kind === 'problem') notice.show(why, { retry: () => void start(withMicrophone) });
          controls.state(why.kind === 'plain' ? 'Call ended' : 'Not in a call');
        },
      },
    });
    if (controls.phase === 'starting') controls.state('Connecting');
  } catch (error) {
    end();
    controls.state('Ready');
    if (error instanceof AccessError) {
      notice.show(error.why, { retry: () => void start(withMicrophone) });
      return;
    }
    const why = explainMicrophone(error instanceof MicrophoneError ? error.reason : String(error));
    notice.show(why, {
      retry: () => void start(withMicrophone),
      ...(why.canCall && withMicrophone ? { without: () => void start(false) } : {}),
    });
  }
}

/** The call stands: what is left of the last one goes. */
function begin(): void {
  frames = 0;
  transcript.reset();
  latency.reset();
  levels.reset();
  recording.hide();
  keypad.reset();
  controls.muted(false);
  controls.show('active');
  controls.state('In a call');
  ticking = setInterval(() => controls.time(session?.elapsedMs ?? 0), TICK_MS);
  void keepAwake();
}

function take(message: ReceivedMessage, atMs: number): void {
  switch (message.type) {
    case 'transcript':
      transcript.take(message, atMs);
      if (message.role === 'agent' && !message.final) controls.state('The agent speaks');
      return;
    case 'latency':
      latency.add(message);
      return;
    case 'transfer':
      transcript.settle();
      transfer.show(message.to);
      controls.state('It rings');
      return;
    case 'cancel_transfer':
      transfer.hide();
      return;
    case 'status':
      if (controls.phase !== 'active') return;
      if (message.status === 'processing') {
        transcript.settle('agent');
        controls.state('The agent thinks');
      } else if (message.status === 'ready' && message.callId === undefined) {
        transcript.settle();
        controls.state('Listening');
      }
      return;
  }
}

function end(): void {
  session = null;
  clearInterval(ticking);
  transcript.settle();
  levels.rest();
  keypad.reset();
  transfer.hide();
  controls.show('idle');
  void awake?.release().catch(() => {});
  awake = null;
}

/** A phone that goes to sleep takes the microphone with it. */
async function keepAwake(): Promise<void> {
  try {
    awake = await navigator.wakeLock?.request('screen');
  } catch {
    // Refused on low battery, or in a window that is not seen: the call goes on.
  }
}

/** @param value of the form's list: encoding and rate. */
function lineOf(value: string): LineSettings {
  return {
    encoding: value.startsWith('mulaw') ? 'mulaw' : 'l16',
    sampleRate: value.endsWith('16000') ? 16000 : 8000,
  };
}
