// The scripted vendors' HTTP interface with plain `fetch`: as little work of our own as there can be.
import { encodePcm16 } from '../../src/audio/pcm.ts';
import { wavHeader } from '../../src/audio/wav.ts';

async function checked(response) {
  if (!response.ok) throw new Error(`a vendor answered with ${response.status}`);
  return response;
}

function post(address, path, body, signal) {
  const json = typeof body === 'string';
  return fetch(`${address}/v1${path}`, {
    method: 'POST',
    body,
    ...(json ? { headers: { 'Content-Type': 'application/json' } } : {}),
    signal,
  }).then(checked);
}

/** The text of a whole utterance. */
export async function transcribe(address, { samples, sampleRate }) {
  const data = encodePcm16(samples);
  const header = wavHeader({ sampleRate, channels: 1, bitsPerSample: 16, dataBytes: data.length });
  const form = new FormData();
  form.append('file', new File([header, data], 'speech.wav', { type: 'audio/wav' }));
  form.append('model', 'bench');
  return (await (await post(address, '/audio/transcriptions', form)).json()).text;
}

/** The whole reply, once it is written. */
export async function completeReply(address, messages) {
  const response = await post(address, '/chat/completions', JSON.stringify({ model: 'bench', messages }));
  return (await response.json()).choices[0].message.content;
}

/** The reply as it is written. */
export async function* streamedReply(address, messages, signal) {
  const body = JSON.stringify({ model: 'bench', messages, stream: true });
  const response = await post(address, '/chat/completions', body, signal);
  let rest = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('data: {')) continue;
      const token = JSON.parse(line.slice('data: '.length)).choices[0]?.delta.content;
      if (token) yield token;
    }
  }
}

/** Speech as PCM of 24 kHz: a response whose body arrives as it is made. */
export function speech(address, input, signal) {
  const body = JSON.stringify({ model: 'bench', input, voice: 'bench', response_format: 'pcm' });
  return post(address, '/audio/speech', body, signal);
}
