import { ElevenLabsClient, ElevenLabsError } from '@elevenlabs/elevenlabs-js';
import * as serialization from '@elevenlabs/elevenlabs-js/serialization';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { elevenLabsTextToSpeech } from '../../../src/providers/elevenlabs/text-to-speech.ts';
import { ElevenLabsDouble, failure, speechOf } from '../../support/elevenlabs-double.ts';
import { dialFromNode } from '../../support/socket-double.ts';

let double: ElevenLabsDouble;
let client: ElevenLabsClient;
beforeEach(async () => {
  double = await ElevenLabsDouble.start();
  client = new ElevenLabsClient({ apiKey: 'key', baseUrl: double.baseUrl, maxRetries: 0 });
});
afterEach(() => double.close());

const strict = { unrecognizedObjectKeys: 'fail' } as const;

describe('the ElevenLabs double, driven by the official client', () => {
  it('streams speech in the format that is asked for', async () => {
    const answer = await client.textToSpeech.stream('voice/1', {
      text: 'Hello.',
      modelId: 'eleven_flash_v2_5',
      outputFormat: 'ulaw_8000',
      languageCode: 'en',
      voiceSettings: { stability: 0.4, speed: 1.1 },
    });
    const bytes = new Uint8Array(await new Response(answer).arrayBuffer());
    expect(bytes).toEqual(speechOf('Hello.', 'ulaw_8000'));
    expect(double.requests[0]).toMatchObject({
      voice: 'voice/1',
      headers: { 'xi-api-key': 'key' },
      body: {
        text: 'Hello.',
        model_id: 'eleven_flash_v2_5',
        language_code: 'en',
        voice_settings: { stability: 0.4 },
      },
    });
  });

  it('fails with a status and a body that the client understands', async () => {
    double.httpScript.push(failure(401, 'quota_exceeded', 'This request exceeds your quota.'));
    const error = await client.textToSpeech.stream('v', { text: 'Hi' }).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ElevenLabsError);
    expect(error).toMatchObject({ statusCode: 401, body: { detail: { code: 'quota_exceeded' } } });
  });

  /** The client has no multi-context socket of its own, but the types of its messages. */
  it('speaks and understands the messages of the client’s own types, and nothing else', async () => {
    const voice = elevenLabsTextToSpeech({
      apiKey: 'key',
      baseUrl: double.baseUrl,
      voiceSettings: { stability: 0.5, similarityBoost: 0.8, style: 0, useSpeakerBoost: true, speed: 1 },
      dial: dialFromNode,
    });
    const request = { text: 'Hello.', sampleRate: 8000, voice: 'v' } as const;
    for await (const event of voice.speak(request, new AbortController().signal)) void event;
    voice.close?.();
    const [socket] = double.sockets;

    const [initialise, flush, close, ...more] = socket!.received;
    expect(more).toEqual([]);
    expect(serialization.InitialiseContext.parse(initialise, strict)).toEqual({
      ok: true,
      value: {
        text: 'Hello. ',
        contextId: 's0',
        voiceSettings: { stability: 0.5, similarityBoost: 0.8, style: 0, useSpeakerBoost: true, speed: 1 },
      },
    });
    expect(serialization.FlushContext.parse(flush, strict)).toEqual({
      ok: true,
      value: { contextId: 's0', flush: true },
    });
    expect(serialization.CloseContext.parse(close, strict)).toEqual({
      ok: true,
      value: { contextId: 's0', closeContext: true },
    });

    expect(socket!.sent).toHaveLength(4);
    for (const audio of socket!.sent.slice(0, 3)) {
      expect(serialization.AudioOutputMulti.parse(audio, strict)).toMatchObject({ ok: true });
    }
    expect(serialization.FinalOutputMulti.parse(socket!.sent[3], strict)).toEqual({
      ok: true,
      value: { isFinal: true, contextId: 's0' },
    });
  });
});
