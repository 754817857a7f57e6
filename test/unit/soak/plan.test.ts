import { expect, it } from 'vitest';
import { abuses, callerKinds, planCall } from '../../soak/plan.ts';

const plans = (seed: number, count = 400) => Array.from({ length: count }, (_, i) => planCall(seed, i));

it('plans the same callers for the same seed, whichever was planned before', () => {
  expect(plans(7).reverse()).toEqual(Array.from({ length: 400 }, (_, i) => planCall(7, 399 - i)));
  expect(plans(7)).not.toEqual(plans(8));
});

it('has every kind of caller, every abuse and more than one dialect in some hundreds of calls', () => {
  const all = plans(7);
  expect(new Set(all.map(({ kind }) => kind))).toEqual(new Set(callerKinds));
  expect(new Set(all.flatMap((plan) => (plan.kind === 'abuser' ? [plan.abuse] : [])))).toEqual(
    new Set(abuses),
  );
  expect(new Set(all.map(({ wire }) => wire.as ?? `${wire.transport} ${wire.encoding}`)).size).toBe(8);
  const droppers = all.flatMap((plan) => (plan.kind === 'dropper' ? [plan.returns] : []));
  expect(new Set(droppers)).toEqual(new Set([true, false]));
});
