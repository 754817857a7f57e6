import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CallReport } from '../../../tools/caller/types.ts';
import type { CallLogRow } from '../../../tools/service/call-log.ts';
import { rowProblems, silentSpans } from '../../../tools/service/demonstration.ts';
import { assertPortFree, PortError } from '../../../tools/service/ports.ts';
import { readServiceFile, removeServiceFile, writeServiceFile } from '../../../tools/service/service-file.ts';
import { freePort, takePort } from '../../support/ports.ts';

describe('a taken port', () => {
  test('is named', async () => {
    const { port, close } = await takePort();
    const error = await assertPortFree(port).catch((reason: unknown) => reason);
    await close();
    expect(error).toBeInstanceOf(PortError);
    expect((error as Error).message).toContain(`Port ${port} is taken`);
  });

  test('is none where nobody listens, nor is 0', async () => {
    await expect(assertPortFree(await freePort())).resolves.toBeUndefined();
    await expect(assertPortFree(0)).resolves.toBeUndefined();
  });
});

describe('the file by which other processes find the service', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'service-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const service = {
    pid: process.pid,
    url: 'http://127.0.0.1:8787',
    enginesUrl: 'http://127.0.0.1:9100/v1',
    enginesKey: 'k',
    supabaseUrl: 'http://127.0.0.1:9200',
    supabaseKey: 's',
  };

  test('is for its owner’s eyes only, and gone at the end', () => {
    writeServiceFile(folder, service);
    expect(statSync(path.join(folder, 'service.json')).mode & 0o077).toBe(0);
    expect(readServiceFile(folder)).toEqual(service);
    removeServiceFile(folder);
    expect(readServiceFile(folder)).toBeNull();
  });

  test('counts for nothing when the process that wrote it is dead', () => {
    // No process has this id: the largest that any system gives out is below it.
    writeServiceFile(folder, { ...service, pid: 2 ** 30 });
    expect(readServiceFile(folder)).toBeNull();
  });

  test.each([
    '',
    '[]',
    '{"pid":1}',
    '{"pid":1,"url":"file:///etc","enginesUrl":"http://a","enginesKey":"k"}',
  ])('counts for nothing when it is broken: %j', (text) => {
    writeFileSync(path.join(folder, 'service.json'), text);
    expect(readServiceFile(folder)).toBeNull();
  });
});

describe('the demonstration call went through', () => {
  const reply = {
    text: 'At ten.',
    sentences: [],
    latencyMs: 700,
    service: null,
    startMs: 2000,
    endMs: 2500,
    cutShort: false,
  };
  const report: CallReport = {
    callId: 'c',
    resumeToken: null,
    sampleRate: 8000,
    startedAt: 0,
    durationMs: 3000,
    greeting: { ...reply, text: 'Hello.', startMs: 0, endMs: 500 },
    utterances: [
      {
        index: 0,
        label: 'When?',
        startMs: 1000,
        endMs: 1500,
        voicedStartMs: 1050,
        voicedEndMs: 1450,
        heardAs: 'When?',
        reply,
      },
    ],
    transcript: [],
    errors: [],
    drops: [],
    close: { code: 1000, reason: '' },
    frames: { sent: 150, received: 10, latestMs: 0, slippedMs: 0 },
    playout: { underruns: 0, underrunMs: 0, overflows: 0, clears: 0 },
    heard: new Int16Array(0),
    sent: new Int16Array(0),
  };
  const row: CallLogRow = {
    call_id: 'c',
    user_id: 'u',
    status: 'ended',
    end_reason: 'hangup',
    start_time: '',
    end_time: '',
    duration_seconds: 3.01,
    recording: 'recordings/2026/11/21/c.wav',
    transcript: [
      { role: 'agent', text: 'Hello.' },
      { role: 'caller', text: 'When?' },
      { role: 'agent', text: 'At ten.' },
    ],
  };

  test('when its row says so', () => {
    expect(rowProblems(row, report)).toEqual([]);
  });

  test.each<[string, CallLogRow | null, RegExp]>([
    ['there is no row', null, /no row/],
    ['the row is still active', { ...row, status: 'active', end_reason: null }, /active/],
    ['the call failed', { ...row, status: 'failed', end_reason: 'error' }, /failed \(error\)/],
    ['no recording is named', { ...row, recording: null }, /no recording/],
    [
      'the caller’s words are missing',
      { ...row, transcript: [row.transcript[0]!, row.transcript[2]!] },
      /of the caller/,
    ],
    [
      'a turn has no words',
      { ...row, transcript: row.transcript.map((turn) => ({ ...turn, text: ' ' })) },
      /of the agent/,
    ],
    ['the length is wrong', { ...row, duration_seconds: 9 }, /9 s/],
    ['the length is missing', { ...row, duration_seconds: null }, /0 s/],
  ])('not when %s', (_, wrong, message) => {
    expect(rowProblems(wrong, report).join('\n')).toMatch(message);
  });

  test('not when the recording has one side only', () => {
    const both = new Int16Array(3 * 8000);
    both.fill(3000, 100, 400);
    both.fill(3000, 1100 * 8, 1200 * 8);
    both.fill(3000, 2100 * 8, 2200 * 8);
    expect(silentSpans(both, 8000, report)).toEqual([]);
    expect(
      silentSpans(
        both.map((sample, i) => (i < 8000 || i > 16_000 ? sample : 0)),
        8000,
        report,
      ),
    ).toEqual(['the caller said "When?"']);
    expect(silentSpans(new Int16Array(8), 8000, report)).toHaveLength(3);
  });
});
