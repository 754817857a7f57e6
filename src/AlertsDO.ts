import { DurableObject } from 'cloudflare:workers';
import { addCost, type CostHours, noCostHours } from './alerts/cost-hours.ts';
import { type AlertBook, emptyBook, evaluate, type Notice } from './alerts/evaluate.ts';
import type { Look } from './alerts/figures-now.ts';
import { NoticeOutbox } from './alerts/outbox.ts';
import { rules } from './alerts/rules.ts';
import { send } from './alerts/send.ts';
import type { AlertStatus } from './alerts/status.ts';
import { systemClock, systemRandom } from './call/clock.ts';
import { loadConfig } from './config.ts';
import { judgeHour, lastWholeHour } from './cost/anomaly.ts';
import type { Env } from './env.ts';
import { log } from './log.ts';

const BOOK = 'book';
const COST = 'cost';

/** The deployment's alerts: how each rule stands, and what has to be told. There is one. Survives restarts. */
export class AlertsDO extends DurableObject<Env> {
  readonly #outbox: NoticeOutbox;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#outbox = new NoticeOutbox({ sql: ctx.storage.sql, clock: systemClock, random: systemRandom });
  }

  /** Looks at the figures, and sees to it that whoever is to know is told. What there is to tell is written down with what is known, or neither is. */
  evaluate({ at, counts, cost }: Look): void {
    const { ALERT_WEBHOOKS: webhooks, ALERT_REPEAT: repeatMs } = loadConfig(this.env);
    const before = this.#book();
    const known = this.ctx.storage.kv.get<CostHours>(COST) ?? noCostHours;
    const costs = cost === null ? known : addCost(known, cost, at);
    const { book, notices } = evaluate(
      before,
      { at, counts, cost: cost === null ? null : judgeHour(costs.hours, lastWholeHour(at)) },
      rules,
      repeatMs,
    );
    if (book === before) return;
    this.ctx.storage.transactionSync(() => {
      this.ctx.storage.kv.put(BOOK, book);
      if (cost !== null) this.ctx.storage.kv.put(COST, costs);
      this.#outbox.keepOnly(webhooks.map(({ name }) => name));
      for (const notice of notices) {
        for (const { name, severities } of webhooks) {
          if (severities.includes(notice.severity)) this.#outbox.put(name, notice);
        }
      }
    });
    for (const notice of notices) logNotice(notice);
    this.#setAlarm();
  }

  status(): AlertStatus {
    const { evaluatedAt, rules: states } = this.#book();
    const firing = rules.flatMap(({ id, severity }) => {
      const state = states[id];
      return state?.is === 'firing' ? [{ rule: id, severity, since: state.since }] : [];
    });
    return { evaluatedAt, firing, waiting: this.#outbox.waiting() };
  }

  /** Sends what is due. The runtime has no two alarms of an object at once, so nothing is sent by both. */
  override async alarm(): Promise<void> {
    const { ALERT_WEBHOOKS: webhooks, ALERT_SOURCE: source } = loadConfig(this.env);
    this.#outbox.keepOnly(webhooks.map(({ name }) => name));
    await Promise.all(
      webhooks.map((webhook) =>
        this.#outbox.run(webhook.name, (notice) => send(webhook, notice, source, systemClock)),
      ),
    );
    this.#setAlarm();
  }

  #book(): AlertBook {
    return this.ctx.storage.kv.get<AlertBook>(BOOK) ?? emptyBook;
  }

  /** The runtime keeps it with what was written, and repeats an alarm that did not come to its end. */
  #setAlarm(): void {
    const at = this.#outbox.nextAt();
    if (at !== null) void this.ctx.storage.setAlarm(at);
  }
}

function logNotice({ kind, rule, severity, detail }: Notice): void {
  const fields = { rule, severity, detail };
  if (kind === 'resolved') log('info', 'an alert is over', fields);
  else log('error', kind === 'firing' ? 'an alert fires' : 'an alert goes on', fields);
}
