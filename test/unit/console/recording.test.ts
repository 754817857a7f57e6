import { expect, it } from 'vitest';
import { decodePcm16 } from '../../../src/audio/pcm.ts';
import { parseWav } from '../../../src/audio/wav.ts';
import { TwoChannelRecording } from '../../../src/console/audio/recording.ts';

it('the page’s recording is a WAV file with the caller left and the agent right, in step', async () => {
  const recording = new TwoChannelRecording(8000);
  recording.add(new Int16Array(160).fill(1), new Int16Array(160).fill(-1));
  recording.add(new Int16Array(160).fill(2), new Int16Array(160));
  expect(recording.durationMs).toBe(40);
  const wav = parseWav(new Uint8Array(await new Blob(recording.toWav()).arrayBuffer()));
  expect(wav).toMatchObject({ sampleRate: 8000, channels: 2, encoding: 'pcm16' });
  const samples = decodePcm16(wav.data);
  expect([...samples.subarray(0, 4)]).toEqual([1, -1, 1, -1]);
  expect([...samples.subarray(-2)]).toEqual([2, 0]);
});

it('the page’s recording ends at half an hour, and says so', () => {
  const recording = new TwoChannelRecording(8000);
  const minute = new Int16Array(60 * 8000);
  for (let i = 0; i < 30; i++) expect(recording.add(minute, minute)).toBe(true);
  expect(recording.add(minute, minute)).toBe(false);
  expect(recording.durationMs).toBe(30 * 60_000);
});
