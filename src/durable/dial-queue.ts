import { type DialReason, type DialState, type LegEnd, reasonOf } from '../dialling/dial.ts';
import { type DialPace, DialPacer } from '../dialling/pace.ts';
import { type Dial, type DialRow, type DialSql, dialOf, type NewDial } from './dial-tables.ts';

/** For which dials a node may be asked: as its token's principal. */
export interface DialNode {
  name: string;
  users: '*' | readonly string[];
  campaigns: '*' | readonly string[];
}

export interface Claimed {
  callId: string;
  /** Names this claim: a node shows it when it begins, and with all that it tells after. */
  claim: string;
  userId: string;
  campaignId: string | null;
  to: string;
  callerId: string;
  trunk: string | null;
  ringMs: number;
}

/** How far a node has come. */
export type Progress = { state: 'ringing' | 'answered' } | ({ state: 'failed' } & LegEnd);

/** A claim that is not begun by then goes back. A node begins at once; its request may be repeated twice. */
export const CLAIM_MS = 10_000;
/** A node whose `begin` was answered, and the answer lost, may ask again for so long: it has not dialled. */
export const REPEAT_MS = 10_000;
/** After the longest ringing a node has so long to say how it ended. */
export const SILENT_MS = 30_000;
/** What is over is known for so long: for repeats of the request, and for whoever asks. */
export const KEPT_MS = 24 * 3_600_000;
/** Users that are looked at for one claim. */
const MOST_USERS = 200;
/** Entries that are looked after at once. */
const MOST_DUE = 500;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 5 * 60_000;

/**
 * Calls that wait to be placed, and what becomes of them. A node claims some, and says of each that it begins: that is written down before it is
 * answered, and granted to one claim of a dial for ever, so that no two nodes dial the same call. A claim that did not begin goes back; one that
 * did never does, whatever happens to its node. Everything is in the object's SQLite: an object that is restarted goes on.
 */
export class DialQueue {
  readonly #sql: DialSql;
  readonly #id: () => string;
  readonly #pacer = new DialPacer();
  /** Users who have as many calls as they may, and until when they are passed over. */
  readonly #held = new Map<string, number>();
  /** Claims that came to nothing since somebody asked. */
  #freed: { callId: string; userId: string }[] = [];

  /** @param id a new name for a claim: nobody can guess it. */
  constructor(sql: DialSql, id: () => string) {
    this.#sql = sql;
    this.#id = id;
  }

  /** `repeated`: it is here already, and asked for the same; `another`: and did not. */
  add(
    dial: NewDial,
    mostOfUser: number,
    most: number,
    now: number,
  ): 'queued' | 'repeated' | 'another' | 'user full' | 'full' {
    const [known] = this.#rows<{ digest: string }>('SELECT digest FROM dials WHERE call_id = ?', dial.callId);
    if (known !== undefined) return known.digest === dial.digest ? 'repeated' : 'another';
    const [user] = this.#rows<{ waiting: number }>(
      'SELECT waiting FROM users WHERE user_id = ?',
      dial.userId,
    );
    if ((user?.waiting ?? 0) >= mostOfUser) return 'user full';
    const [all] = this.#rows<{ waiting: number }>(
      'SELECT coalesce(sum(waiting), 0) AS waiting FROM users WHERE waiting > 0',
    );
    if ((all?.waiting ?? 0) >= most) return 'full';
    this.#sql.exec(
      `INSERT INTO dials (call_id, digest, user_id, campaign_id, destination, caller_id, trunk, metadata, ring_ms, expires_at, state, queued_at, seq, due)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?)`,
      ...[
        dial.callId,
        dial.digest,
        dial.userId,
        dial.campaignId,
        dial.to,
        dial.callerId,
        dial.trunk,
        dial.metadata,
        dial.ringMs,
      ],
      ...[dial.expiresAt, now, this.#next(), dial.expiresAt],
    );
    this.#waiting(dial.userId, 1);
    return 'queued';
  }

  /** Gives a node up to `room` dials: its users in turn, of each the one that waits longest. */
  claim(node: DialNode, room: number, pace: DialPace, now: number): Claimed[] {
    const [open] = this.#rows<{ open: number }>(
      `SELECT count(*) AS open FROM dials WHERE state IN ('claimed', 'begun', 'ringing') AND node = ?`,
      node.name,
    );
    const most = Math.min(room, pace.atOnce - (open?.open ?? 0), this.#pacer.allowed(node.name, pace, now));
    const claimed: Claimed[] = [];
    for (let found = -1; claimed.length < most && found !== claimed.length; ) {
      found = claimed.length;
      for (const userId of this.#usersFor(node, now)) {
        if (claimed.length >= most) break;
        const dial = this.#claimOf(userId, node, now);
        if (dial !== null) claimed.push(dial);
      }
    }
    this.#pacer.spend(node.name, claimed.length);
    return claimed;
  }

  /** A claim that must not begin now: its user has as many calls as allowed. `passOverMs`: nobody asks for more of this user's until then. */
  putBack(callId: string, claim: string, passOverMs: number, now: number): void {
    const dial = this.#row(callId);
    if (dial?.state !== 'claimed' || dial.claim !== claim) return;
    this.#held.set(dial.user_id, now + passOverMs);
    this.#requeue(dial);
  }

  /** A claim that shall not be dialled at all. */
  refuse(callId: string, claim: string, reason: DialReason, now: number): void {
    const dial = this.#row(callId);
    if (dial?.state === 'claimed' && dial.claim === claim) this.#over(dial, 'failed', reason, {}, now);
  }

  /** Whether this claim dials. Granted once for each dial; the same claim's repeats, as long as nothing came of it, are told the same again. */
  begin(node: string, callId: string, claim: string, now: number): boolean {
    const dial = this.#row(callId);
    if (dial === undefined || dial.claim !== claim || dial.node !== node) return false;
    if (dial.state === 'begun') return dial.cancelled === 0 && now - (dial.begun_at ?? 0) < REPEAT_MS;
    if (dial.state !== 'claimed' || now >= dial.due) return false;
    this.#sql.exec(
      `UPDATE dials SET state = 'begun', begun_at = ?, due = ? WHERE call_id = ?`,
      ...[now, now + dial.ring_ms + SILENT_MS, callId],
    );
    return true;
  }

  /** What a node tells of a dial that it has begun. False: it has none such. What comes late or again changes nothing. */
  progress(node: string, callId: string, claim: string, progress: Progress, now: number): boolean {
    const dial = this.#row(callId);
    if (dial === undefined || dial.claim !== claim || dial.node !== node || dial.begun_at === null)
      return false;
    // It was given up, and nobody was told yet: its node knows better.
    const revived = dial.state === 'failed' && dial.reason === 'node lost' && dial.told === 0;
    if (dial.over_at !== null && !revived) return true;
    switch (progress.state) {
      case 'ringing':
        if (dial.state === 'begun') {
          this.#sql.exec(`UPDATE dials SET state = 'ringing', ringing_at = ? WHERE call_id = ?`, now, callId);
        }
        return true;
      case 'answered':
        this.#over(dial, 'answered', null, {}, now);
        return true;
      case 'failed':
        if (dial.cancelled === 1) this.#over(dial, 'cancelled', 'cancelled', progress, now);
        else this.#over(dial, 'failed', reasonOf(progress, dial.ringing_at !== null), progress, now);
        return true;
    }
  }

  /** Gives a dial up. One that a node has begun is over when the node says so. */
  cancel(callId: string, now: number): Dial | null {
    const dial = this.#row(callId);
    if (dial === undefined) return null;
    if (dial.state === 'queued' || dial.state === 'claimed') {
      this.#over(dial, 'cancelled', 'cancelled', {}, now);
    } else if (dial.over_at === null) {
      this.#sql.exec('UPDATE dials SET cancelled = 1 WHERE call_id = ?', callId);
    }
    return this.find(callId);
  }

  /** What the node shall give up. Told until it says that it is over. */
  cancelledOf(node: string): string[] {
    return this.#rows<{ call_id: string }>(
      `SELECT call_id FROM dials WHERE state IN ('claimed', 'begun', 'ringing') AND node = ? AND cancelled = 1 LIMIT 100`,
      node,
    ).map(({ call_id }) => call_id);
  }

  find(callId: string): Dial | null {
    const row = this.#row(callId);
    return row === undefined ? null : dialOf(row);
  }

  /** Looks after what is due: claims that lapsed, dials that nobody took, nodes that fell silent, what need not be known any more. */
  expire(now: number): void {
    const due = this.#rows<DialRow>(
      `SELECT * FROM dials WHERE due <= ? AND NOT (over_at IS NOT NULL AND told = 0) ORDER BY due LIMIT ${MOST_DUE}`,
      now,
    );
    for (const dial of due) {
      if (dial.over_at !== null) this.#sql.exec('DELETE FROM dials WHERE call_id = ?', dial.call_id);
      else if (dial.state === 'queued') this.#over(dial, 'expired', 'expired', {}, now);
      else if (dial.state === 'claimed' && now >= dial.expires_at)
        this.#over(dial, 'expired', 'expired', {}, now);
      else if (dial.state === 'claimed') this.#requeue(dial);
      else this.#over(dial, 'failed', 'node lost', {}, now);
    }
    for (const [userId, until] of this.#held) if (until <= now) this.#held.delete(userId);
    this.#sql.exec('DELETE FROM users WHERE waiting = 0 AND served < (SELECT value FROM counter) - 100000');
  }

  /** Dials that a node had and has no more, and that were not answered: their users have a place again. An object that was restarted forgets them. */
  takeFreed(): { callId: string; userId: string }[] {
    const freed = this.#freed;
    this.#freed = [];
    return freed;
  }

  /** When it wants to be looked after next; null: it is empty. */
  get nextDue(): number | null {
    return this.#rows<{ due: number | null }>('SELECT min(due) AS due FROM dials')[0]?.due ?? null;
  }

  // --- what the database has to be told ------------------------------------------------------------------------

  /** Dials that are over and not told yet, and how often that was tried. */
  untold(most: number, now: number): { dial: Dial; attempts: number }[] {
    return this.#rows<DialRow>(
      `SELECT * FROM dials WHERE over_at IS NOT NULL AND told = 0 AND due <= ? ORDER BY due LIMIT ${most}`,
      now,
    ).map((row) => ({ dial: dialOf(row), attempts: row.attempts }));
  }

  /** It has arrived: the number is not needed any more. */
  told(callId: string, now: number): void {
    this.#sql.exec(
      `UPDATE dials SET told = 1, destination = '', metadata = NULL, due = ? WHERE call_id = ? AND told = 0`,
      ...[now + KEPT_MS, callId],
    );
  }

  /** @param fraction of [0, 1), so that not all come back at once. */
  untoldAgain(callId: string, fraction: number, now: number): void {
    const dial = this.#row(callId);
    if (dial === undefined) return;
    const wait = Math.min(FIRST_RETRY_MS * 2 ** Math.min(dial.attempts, 20), LAST_RETRY_MS);
    this.#sql.exec(
      'UPDATE dials SET attempts = attempts + 1, due = ? WHERE call_id = ? AND told = 0',
      ...[now + Math.round(wait * (0.5 + fraction / 2)), callId],
    );
  }

  // --- small things --------------------------------------------------------------------------------------------

  #usersFor({ users }: DialNode, now: number): string[] {
    const among = users === '*' ? '' : 'AND user_id IN (SELECT value FROM json_each(?))';
    const rows = this.#rows<{ user_id: string }>(
      `SELECT user_id FROM users WHERE waiting > 0 ${among} ORDER BY served LIMIT ${MOST_USERS}`,
      ...(users === '*' ? [] : [JSON.stringify(users)]),
    );
    return rows.map(({ user_id }) => user_id).filter((userId) => (this.#held.get(userId) ?? 0) <= now);
  }

  #claimOf(userId: string, { name, campaigns }: DialNode, now: number): Claimed | null {
    const among =
      campaigns === '*' ? '' : 'AND (campaign_id IS NULL OR campaign_id IN (SELECT value FROM json_each(?)))';
    const [dial] = this.#rows<DialRow>(
      `SELECT * FROM dials WHERE state = 'queued' AND user_id = ? AND due > ? ${among} ORDER BY seq LIMIT 1`,
      ...[userId, now, ...(campaigns === '*' ? [] : [JSON.stringify(campaigns)])],
    );
    if (dial === undefined) return null;
    const claim = this.#id();
    this.#sql.exec(
      `UPDATE dials SET state = 'claimed', node = ?, claim = ?, due = ? WHERE call_id = ?`,
      ...[name, claim, now + CLAIM_MS, dial.call_id],
    );
    this.#waiting(userId, -1);
    // What was freed a moment ago, and not told yet, is taken again: it must not be given back after that.
    this.#freed = this.#freed.filter(({ callId }) => callId !== dial.call_id);
    this.#sql.exec('UPDATE users SET served = ? WHERE user_id = ?', this.#next(), userId);
    const { callId, campaignId, to, callerId, trunk, ringMs } = dialOf(dial);
    return { callId, claim, userId, campaignId, to, callerId, trunk, ringMs };
  }

  #requeue(dial: DialRow): void {
    this.#sql.exec(
      `UPDATE dials SET state = 'queued', node = NULL, claim = NULL, due = expires_at WHERE call_id = ?`,
      dial.call_id,
    );
    this.#waiting(dial.user_id, 1);
    this.#free(dial);
  }

  #over(dial: DialRow, state: DialState, reason: DialReason | null, end: LegEnd, now: number): void {
    this.#sql.exec(
      `UPDATE dials SET state = ?, reason = ?, cause = ?, sip_status = ?, q850 = ?, over_at = ?, due = ?, attempts = 0 WHERE call_id = ?`,
      ...[state, reason, end.cause ?? null, end.sipStatus ?? null, end.q850 ?? null, now, now, dial.call_id],
    );
    if (dial.state === 'queued') this.#waiting(dial.user_id, -1);
    else if (state !== 'answered') this.#free(dial);
  }

  #free({ call_id: callId, user_id: userId }: DialRow): void {
    this.#freed.push({ callId, userId });
  }

  #waiting(userId: string, change: number): void {
    this.#sql.exec(
      `INSERT INTO users (user_id, waiting, served) VALUES (?, ?, 0)
       ON CONFLICT (user_id) DO UPDATE SET waiting = waiting + excluded.waiting`,
      ...[userId, change],
    );
  }

  #next(): number {
    return this.#rows<{ value: number }>('UPDATE counter SET value = value + 1 RETURNING value')[0]!.value;
  }

  #row(callId: string): DialRow | undefined {
    return this.#rows<DialRow>('SELECT * FROM dials WHERE call_id = ?', callId)[0];
  }

  #rows<Found extends Record<string, string | number | null>>(
    query: string,
    ...bindings: (string | number | null)[]
  ): Found[] {
    return this.#sql.exec<Found>(query, ...bindings).toArray();
  }
}
