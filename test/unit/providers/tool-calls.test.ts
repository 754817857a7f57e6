import { expect, it } from 'vitest';
import { ToolCallCollector } from '../../../src/providers/tool-calls.ts';

it('tells what is progress: a server that sends empty pieces must not keep a call waiting for ever', () => {
  const calls = new ToolCallCollector('vendor/model');
  expect(calls.add({ index: 0 })).toBe(false);
  expect(calls.count).toBe(0);
  expect(calls.add({ index: 0, id: 'c1', name: 'look_up', arguments: '' })).toBe(true);
  expect(calls.add({ index: 0, id: 'c1', name: 'look_up', arguments: '' })).toBe(false);
  expect(calls.add({ index: 0, arguments: '{' })).toBe(true);
  expect(calls.add({ index: 0, arguments: '' })).toBe(false);
  expect(calls.areComplete).toBe(false);
  calls.add({ arguments: '}' });
  expect(calls.areComplete).toBe(true);
  expect(calls.finish()).toEqual([{ id: 'c1', name: 'look_up', arguments: '{}' }]);
});
