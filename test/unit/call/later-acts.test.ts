import { beforeEach, expect, it } from 'vitest';
import { type CallEvent, CallEvents } from '../../../src/call/events.ts';
import { LaterActs } from '../../../src/call/later-acts.ts';
import type { CallActions } from '../../../src/tools/tool.ts';

/** Events and acts, in order. */
let seen: string[];
let transfer: CallActions['transfer'];
beforeEach(() => {
  seen = [];
  transfer = (to) => seen.push(`transfer ${to}`) > 0;
});

function laterActs(): LaterActs {
  const events = new CallEvents(
    () => 0,
    (error) => {
      throw error;
    },
  );
  events.listen((event: CallEvent) => {
    if (event.type === 'agent.acts') seen.push(`owes ${event.acts.map(({ act }) => act).join(', ')}`);
  });
  return new LaterActs({
    events,
    actions: {
      hangUp: () => seen.push('hang up'),
      transfer: (to) => transfer(to),
      pressDigits: () => false,
    },
  });
}

const desk = { act: 'transfer', to: '+493012345' } as const;

it('what is to be done is struck out before it is done: a restart in between does it once at most', () => {
  const acts = laterActs();
  acts.add(desk);
  acts.add({ act: 'hangUp' });
  expect(acts.waiting).toBe(true);
  expect(acts.do()).toEqual([]);
  expect(seen).toEqual(['owes transfer', 'owes transfer, hangUp', 'owes ', 'transfer +493012345', 'hang up']);
  expect(acts.do()).toEqual([]);
  expect(seen).toHaveLength(5);
});

it('what is asked for twice is done once', () => {
  const acts = laterActs();
  acts.add(desk);
  acts.add({ ...desk });
  acts.do();
  expect(seen).toEqual(['owes transfer', 'owes ', 'transfer +493012345']);
});

it.each([
  ['refuses', () => false],
  [
    'breaks',
    () => {
      throw new Error('socket closed');
    },
  ],
])('a leg that %s is told of, and the rest is done', (_, refuse) => {
  transfer = refuse;
  const acts = laterActs();
  acts.add(desk);
  acts.add({ act: 'hangUp' });
  expect(acts.do()).toEqual(['The call could not be transferred.']);
  expect(seen.at(-1)).toBe('hang up');
});

it('what is forgotten is not done, and is no news where there was nothing', () => {
  const acts = laterActs();
  acts.forget();
  acts.add(desk);
  acts.forget();
  expect(acts.do()).toEqual([]);
  expect(seen).toEqual(['owes transfer', 'owes ']);
});
