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
      transfer: (to, ringSeconds) => transfer(to, ringSeconds),
      pressDigits: () => false,
    },
  });
}

const desk = { act: 'transfer', to: '+493012345' } as const;

it('what is to be done is struck out before it is done: a restart in between does it once at most', () => {
  const acts = laterActs();
  acts.add({ act: 'hangUp' });
  expect(acts.waiting).toBe(true);
  expect(acts.do()).toEqual([]);
  expect(seen).toEqual(['owes hangUp', 'owes ', 'hang up']);
  expect(acts.do()).toEqual([]);
  expect(seen).toHaveLength(3);
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
])('a leg that %s is told of, and the caller is not hung up on', (_, refuse) => {
  transfer = refuse;
  const acts = laterActs();
  acts.add(desk);
  acts.add({ act: 'hangUp' });
  expect(acts.do()).toEqual(['The call could not be transferred.']);
  expect(seen).not.toContain('hang up');
});

it('what is forgotten is not done, and is no news where there was nothing', () => {
  const acts = laterActs();
  acts.forget();
  acts.add(desk);
  acts.forget();
  expect(acts.do()).toEqual([]);
  expect(seen).toEqual(['owes transfer', 'owes ']);
});

it.each([
  ['before', [{ act: 'hangUp' }, desk]],
  ['after', [desk, { act: 'hangUp' }]],
] as const)('a hang-up that is asked for %s a transfer does not end it', (_, asked) => {
  const acts = laterActs();
  for (const act of asked) acts.add(act);
  expect(acts.do()).toEqual([]);
  expect(seen.slice(2)).toEqual(['owes ', 'transfer +493012345']);
});

it('of two transfers the last one is made: the caller has changed his mind', () => {
  const acts = laterActs();
  acts.add(desk);
  acts.add({ act: 'transfer', to: 'sip:sales@example.com' });
  acts.do();
  expect(seen.slice(2)).toEqual(['owes ', 'transfer sip:sales@example.com']);
});

it('rings as long as the tool says, and 30 s where an older version has written it down', () => {
  const rang: number[] = [];
  transfer = (_, ringSeconds) => rang.push(ringSeconds) > 0;
  for (const act of [desk, { ...desk, ringSeconds: 12 }]) {
    const acts = laterActs();
    acts.add(act);
    acts.do();
  }
  expect(rang).toEqual([30, 12]);
});
