import { describe, expect, it } from 'vitest';
import { describe as lineOf } from '../../../src/console/model/event-log.ts';
import { parseServerMessage, type ReceivedMessage } from '../../../src/console/model/server-message.ts';

const messages: ReceivedMessage[] = [
  { type: 'status', status: 'ready', message: 'Connected', callId: 'a', resumeToken: 't' },
  { type: 'status', status: 'processing', message: 'Thinking' },
  { type: 'speech', text: 'Hello.' },
  { type: 'error', code: 'TIMEOUT', message: 'late' },
  { type: 'clear' },
  { type: 'mark', name: 'sentence-1' },
  { type: 'transcript', role: 'agent', text: 'Hello.', final: false },
  {
    type: 'latency',
    turn: 1,
    endpointWaitMs: 1,
    processingMs: 2,
    providerMs: 3,
    totalMs: 6,
    providers: [],
    moments: { decided: 1 },
  },
  { type: 'transfer', to: 'sales', ringSeconds: 30 },
  { type: 'cancel_transfer' },
  { type: 'dtmf', digits: '12' },
];

describe('a message of the service’s', () => {
  it.each(messages)('is taken: $type', (message) => {
    expect(parseServerMessage(JSON.stringify(message))).toEqual(message);
    expect(lineOf('received', message, 5)).toMatchObject({ atMs: 5, what: message.type });
  });

  it.each([
    ['no JSON', 'x'],
    ['no object', '3'],
    ['null', 'null'],
    ['a type that a newer service has', '{"type":"weather"}'],
    ['a type by a name of JavaScript’s own', '{"type":"constructor"}'],
    ['a status that is none', '{"type":"status","status":"odd","message":"x"}'],
    ['a transcript without words', '{"type":"transcript","role":"agent","final":true}'],
    ['a latency of text', '{"type":"latency","turn":"1"}'],
    ['a mark that is no name', '{"type":"mark","name":{}}'],
  ])('is left alone: %s', (_, data) => {
    expect(parseServerMessage(data)).toBeNull();
  });

  it('that is long is cut short in the list of events', () => {
    const line = lineOf('received', { type: 'speech', text: 'a'.repeat(5_000) }, 0);
    expect(line.detail).toHaveLength(160);
    expect(line.detail.endsWith('…')).toBe(true);
  });
});
