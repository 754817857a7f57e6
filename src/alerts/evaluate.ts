import type { Figures } from './figures.ts';
import { holds, type Rule, type Sample, type Severity } from './rules.ts';

/** What is told of an alert. */
export interface Notice {
  /** The same for the same news, however often it is worked out or sent: 1 to 100 of `a-z 0-9 -`. */
  id: string;
  kind: 'firing' | 'repeated' | 'resolved';
  rule: string;
  severity: Severity;
  title: string;
  detail: string;
  /** Null: not known at the moment. */
  value: number | null;
  threshold: number;
  unit: Rule['unit'];
  /** When it began to hold, and when this was found. */
  since: number;
  at: number;
}

/** How a rule stands; one of which nothing is kept is quiet. */
export type RuleState =
  /** Holds, and not for long enough. */
  | { is: 'pending'; since: number }
  | {
      is: 'firing';
      since: number;
      /** When it was told last; null: not at all, another one fires that includes it. */
      toldAt: number | null;
      /** How often it was told. */
      told: number;
      /** Since when it does not hold any more; null: it holds, or nobody knows. */
      clearSince: number | null;
    };

/** What is kept between two looks. */
export interface AlertBook {
  /** 0: never. */
  evaluatedAt: number;
  rules: Readonly<Record<string, RuleState>>;
}

export const emptyBook: AlertBook = { evaluatedAt: 0, rules: {} };

/** Looks are a minute apart. After a longer gap nobody knows what was in between: what was pending, or nearly over, begins anew. */
export const GAP_MS = 3 * 60_000;

/**
 * One look at the figures: how the rules stand after it, and what there is to tell. Figures that are not newer than the last ones change
 * nothing, so a look that is repeated or overtaken tells nobody anything twice.
 *
 * @param repeatMs after so long an alert that goes on is told again; 0: never.
 */
export function evaluate(
  book: AlertBook,
  figures: Figures,
  rules: readonly Rule[],
  repeatMs: number,
): { book: AlertBook; notices: Notice[] } {
  const { at } = figures;
  if (at <= book.evaluatedAt) return { book, notices: [] };
  const gap = at - book.evaluatedAt > GAP_MS;
  const states: Record<string, RuleState> = {};
  const notices: Notice[] = [];
  for (const rule of rules) {
    const sample = rule.look(figures);
    const before = book.rules[rule.id];
    const held = rule.inhibitedBy !== undefined && states[rule.inhibitedBy]?.is === 'firing';
    const after = next(rule, before, sample, at, gap);
    const { state, notice } = tell(rule, before, after, sample, { at, held, repeatMs });
    if (state !== null) states[rule.id] = state;
    if (notice !== null) notices.push(notice);
  }
  return { book: { evaluatedAt: at, rules: states }, notices };
}

/** How a rule stands after a look; null: quiet. */
function next(
  rule: Rule,
  before: RuleState | undefined,
  sample: Sample | null,
  at: number,
  gap: boolean,
): RuleState | null {
  const bad = sample !== null && holds(rule, sample);
  if (before?.is === 'firing') {
    if (sample === null || bad) return { ...before, clearSince: null };
    const clearSince = gap ? at : (before.clearSince ?? at);
    return at - clearSince >= rule.clearMs ? null : { ...before, clearSince };
  }
  if (!bad) return null;
  const since = before === undefined || gap ? at : before.since;
  if (at - since < rule.forMs) return { is: 'pending', since };
  return { is: 'firing', since, toldAt: null, told: 0, clearSince: null };
}

/** What there is to tell of it, and the state with that noted. */
function tell(
  rule: Rule,
  before: RuleState | undefined,
  after: RuleState | null,
  sample: Sample | null,
  { at, held, repeatMs }: { at: number; held: boolean; repeatMs: number },
): { state: RuleState | null; notice: Notice | null } {
  if (after === null) {
    const told = before?.is === 'firing' && before.toldAt !== null;
    return { state: null, notice: told ? noticeOf(rule, 'resolved', before, sample, at) : null };
  }
  if (after.is === 'pending' || held) return { state: after, notice: null };
  // An alert that is not told yet is told while it holds: the news that it is nearly over is none.
  const first = after.toldAt === null && after.clearSince === null;
  const again = after.toldAt !== null && repeatMs > 0 && at - after.toldAt >= repeatMs;
  if (!first && !again) return { state: after, notice: null };
  const state = { ...after, toldAt: at, told: after.told + 1 };
  return { state, notice: noticeOf(rule, first ? 'firing' : 'repeated', state, sample, at) };
}

function noticeOf(
  { id, severity, title, threshold, unit }: Rule,
  kind: Notice['kind'],
  { since, told }: Extract<RuleState, { is: 'firing' }>,
  sample: Sample | null,
  at: number,
): Notice {
  const news = kind === 'repeated' ? `${kind}-${told}` : kind;
  const { value, detail } = sample ?? { value: null, detail: 'How it stands now is not known.' };
  return {
    id: `${id}-${since}-${news}`,
    kind,
    rule: id,
    severity,
    title,
    detail,
    value,
    threshold,
    unit,
    since,
    at,
  };
}
