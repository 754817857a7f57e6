import { decodeAudio, encodeAudio } from '../audio.ts';
import {
  CarrierEnd,
  type JsonObject,
  numbersOf,
  parametersOf,
  type StartCallMessage,
  type TransferMessage,
} from './far-end.ts';

/** An end whose audio goes as binary messages of L16, both ways. */
abstract class BinaryEnd extends CarrierEnd {
  protected makeCallId(): string {
    return crypto.randomUUID();
  }

  sendAudio(samples: Int16Array): void {
    this.context.put(encodeAudio(samples, 'l16'));
  }

  override receiveBinary(bytes: Uint8Array): void {
    if (bytes.length % 2 === 1) this.context.failed('half a sample');
    else this.context.audio(decodeAudio(bytes, 'l16'), null);
  }

  /** The module closes its socket when the channel is gone. */
  protected stop(): void {
    this.context.close();
  }
}

/** `mod_openai_audio_stream` in raw mode, with hooks that tell of the call and of its keys. */
export class FreeSwitchEnd extends BinaryEnd {
  protected start(message: StartCallMessage): void {
    this.put({
      type: 'start_call',
      call_id: message.callId,
      ...numbersOf(message),
      ...parametersOf(message),
      sampleRate: this.context.sampleRate,
      features: ['transfer', 'dtmf'],
    });
  }

  protected dtmf(digit: string, durationMs: number): void {
    this.put({ type: 'dtmf', digit, duration: String(durationMs * 8) });
  }

  protected markPlayed(): void {}

  protected override transfer(report: TransferMessage): void {
    this.put(report);
  }

  protected receiveObject(message: JsonObject): void {
    if (message.type === 'input_audio_buffer.speech_started') this.clear(false);
    else this.hook(message);
  }

  /** What the module makes events of. */
  protected hook({ type, to, ringSeconds, digits, code, message }: JsonObject): void {
    if (type === 'transfer') {
      this.context.message({ type: 'transfer', to: String(to), ringSeconds: Number(ringSeconds) });
    }
    if (type === 'cancel_transfer') this.context.message({ type: 'cancel_transfer' });
    if (type === 'dtmf') this.context.message({ type: 'dtmf', digits: String(digits) });
    if (type === 'error') {
      this.context.message({ type: 'error', code: String(code), message: String(message) });
    }
  }
}

/** `mod_audio_stream`'s free edition, with a hook that plays the files, and breaks them off. */
export class ModAudioStreamEnd extends FreeSwitchEnd {
  override receiveBinary(_bytes: Uint8Array): void {
    this.context.failed('a binary message, which the free edition does not play');
  }

  protected override receiveObject(message: JsonObject): void {
    if (message.type === 'killAudio') this.clear(false);
    else if (message.type === 'streamAudio') this.#play((message.data ?? {}) as JsonObject);
    else this.hook(message);
  }

  #play({ audioDataType, sampleRate, audioData }: JsonObject): void {
    const bytes = this.bytesOf(audioData);
    if (bytes === null) return;
    if (audioDataType !== 'raw' || sampleRate !== this.context.sampleRate) {
      this.context.failed(`a file of ${String(audioDataType)} at ${String(sampleRate)} Hz`);
    } else {
      super.receiveBinary(bytes);
    }
  }
}

/** jambonz' verb `listen` with streaming, and the module beneath it. */
export class AudioForkEnd extends BinaryEnd {
  protected start(message: StartCallMessage): void {
    this.put({
      sampleRate: this.context.sampleRate,
      mixType: 'mono',
      callSid: message.callId,
      direction: 'inbound',
      ...numbersOf(message),
      callId: `${message.callId}@192.0.2.1`,
      ...parametersOf(message),
    });
  }

  protected dtmf(digit: string, durationMs: number): void {
    this.put({ event: 'dtmf', dtmf: digit, duration: String(durationMs * 8) });
  }

  protected markPlayed(name: string): void {
    this.put({ type: 'mark', data: { name, event: 'playout' } });
  }

  protected receiveObject({ type, data }: JsonObject): void {
    if (type === 'killAudio') this.clear(false);
    else if (type === 'mark') this.mark((data as JsonObject)?.name);
    else if (type !== 'json' && type !== 'disconnect') {
      this.context.failed(`the type ${String(type)}`);
    }
  }
}

/** `mod_audio_fork` with a dialplan's own metadata. */
export class ModAudioForkEnd extends AudioForkEnd {
  protected override start(message: StartCallMessage): void {
    this.put({
      call_id: message.callId,
      ...numbersOf(message),
      ...parametersOf(message),
      sampleRate: this.context.sampleRate,
    });
  }
}

/** https://developer.vonage.com/en/voice/voice-api/concepts/websockets: messages of 20 ms. */
export class VonageEnd extends BinaryEnd {
  protected start(message: StartCallMessage): void {
    this.put({
      event: 'websocket:connected',
      'content-type': `audio/l16;rate=${this.context.sampleRate}`,
      uuid: message.callId,
      ...numbersOf(message),
      ...parametersOf(message),
    });
  }

  override receiveBinary(bytes: Uint8Array): void {
    const expected = this.context.sampleRate / 25;
    if (bytes.length !== expected) this.context.failed(`${bytes.length} bytes in place of ${expected}`);
    else super.receiveBinary(bytes);
  }

  protected dtmf(digit: string, duration: number): void {
    this.put({ event: 'websocket:dtmf', digit, duration });
  }

  protected markPlayed(name: string): void {
    this.put({ event: 'websocket:notify', payload: { name } });
  }

  protected receiveObject({ action, payload }: JsonObject): void {
    if (action === 'clear') {
      this.clear(false);
      this.put({ event: 'websocket:cleared' });
    } else if (action === 'notify') this.mark((payload as JsonObject)?.name);
    else this.context.failed(`the action ${String(action)}`);
  }
}
