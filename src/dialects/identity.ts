import type { StartRequest } from './dialect.ts';
import { type JsonObject, nestedDeeperThan, textOf } from './json-text.ts';
import { callIdSchema, type ErrorCode, metadataSchema, nativeLimits } from './native-messages.ts';

/** Whose a telephone number is: setting `NUMBERS`, by E.164 or as a carrier writes it. */
export type Numbers = Readonly<Record<string, { userId: string; campaignId?: string | undefined }>>;

/** What an upgrade request tells of a call. */
export interface Handshake {
  /** The id that the call's object is named after, or a minted one. */
  callId: string;
  callIdBound: boolean;
  query: URLSearchParams;
  headers: Headers;
  numbers: Numbers;
  /** The user whose token opened the socket; null: a node's, an operator's, or nobody had to show one. */
  holder: { userId: string; campaignId: string | null } | null;
}

/** What the first message of a leg tells of its call. */
export interface CallFacts {
  /** The name that the carrier has for the call. */
  carrierCallId?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
  /** We call; absent: the carrier does not tell who does, an operator's `direction` may. */
  outbound?: boolean | undefined;
  /** The carrier's other ids, as it calls them. */
  ids: Record<string, string | undefined>;
  /** What the operator has the carrier send along. */
  parameters: JsonObject;
}

export type Identified = Omit<StartRequest, 'sampleRate' | 'earlyMs'>;
export type Unidentified = { refusal: { code: ErrorCode; message: string } };

/** What an operator may name, however it is written: `userId`, `user_id`, `X-User-Id`, Plivo's `X-PH-userId`. */
const names = [
  'callid',
  'userid',
  'campaignid',
  'phonenumber',
  'from',
  'to',
  'direction',
  'resumetoken',
] as const;
type Name = (typeof names)[number];

/**
 * Who calls, for whom, and under which id. What the first message says counts before the URL's query, that before the headers (`X-…`),
 * these before the holder of the token, and that before the number's entry in `NUMBERS`. Whether they may is not decided here.
 */
export function identify(
  dialect: string,
  facts: CallFacts,
  { callId, callIdBound, query, headers, numbers, holder }: Handshake,
): Identified | Unidentified {
  const { named, others } = namedOf(Object.entries(facts.parameters));
  const inQuery = namedOf(query).named;
  const inHeaders = headersOf(headers);
  const find = (name: Name) => named[name] ?? inQuery[name] ?? inHeaders[name];

  const from = plusOf(find('from') ?? facts.from);
  const to = plusOf(find('to') ?? facts.to);
  const direction = find('direction');
  const weCall = facts.outbound ?? direction?.startsWith('outbound') ?? false;
  // Who calls us may show any number, also one of ours: it says whose the call is only where it is known that we make it.
  const owner = entryOf(numbers, to) ?? (weCall ? entryOf(numbers, from) : undefined);
  const namedUser = find('userid');
  const userId = namedUser ?? holder?.userId ?? owner?.userId;
  if (userId === undefined || userId.length > 128) {
    const number =
      from === undefined && to === undefined ? 'no number either' : 'a number that is not in NUMBERS';
    return refused('UNAUTHORIZED', `${dialect}: the leg names no userId, and ${number}`);
  }
  const ofUser = holder ?? owner;
  const isTheirs = namedUser === undefined || namedUser === holder?.userId;
  const campaignId = find('campaignid') ?? (isTheirs ? ofUser?.campaignId : undefined) ?? undefined;
  const ownId = find('callid') ?? (callIdBound ? callId : (idOf(facts.carrierCallId) ?? callId));
  if (!callIdSchema.safeParse(ownId).success) {
    return refused('BAD_MESSAGE', `${dialect}: callId must be 1 to 128 of A-Z a-z 0-9 . _ -`);
  }
  const phoneNumber = plusOf(find('phonenumber')) ?? (weCall ? to : from);
  const metadata = defined({
    ...others,
    phoneNumber,
    campaignId,
    from,
    to,
    direction: direction ?? (weCall ? 'outbound' : undefined),
    carrier: defined({ dialect, callId: facts.carrierCallId, ...facts.ids }),
  });
  // The parser of the bounds goes down as far as the message does.
  const bounded =
    !nestedDeeperThan(metadata, nativeLimits.nesting) && metadataSchema.safeParse(metadata).success;
  if (!bounded) {
    return refused(
      'BAD_MESSAGE',
      `${dialect}: more parameters than ${nativeLimits.metadataCharacters} characters`,
    );
  }
  return { callId: ownId, userId, metadata, resumeToken: find('resumetoken') ?? null };
}

/** Whether the upgrade request alone tells for whom the call is. */
export function identifiedByHandshake(handshake: Handshake): boolean {
  return userOfHandshake(handshake) !== null;
}

/** For whom the call is, as far as the upgrade request tells; null: the first message will. */
export function userOfHandshake({
  query,
  headers,
  numbers,
  holder,
}: Pick<Handshake, 'query' | 'headers' | 'numbers' | 'holder'>): string | null {
  const named = { ...headersOf(headers), ...namedOf(query).named };
  return named.userid ?? holder?.userId ?? entryOf(numbers, named.to)?.userId ?? null;
}

/** HTTP has a `From` of its own: only what an operator has added counts. */
function headersOf(headers: Headers) {
  return namedOf([...headers].filter(([name]) => name.startsWith('x-'))).named;
}

function namedOf(entries: Iterable<[string, unknown]>): {
  named: { [name in Name]?: string | undefined };
  others: JsonObject;
} {
  const named: { [name in Name]?: string | undefined } = {};
  const others: [string, unknown][] = [];
  for (const [key, value] of entries) {
    const plain = key
      .toLowerCase()
      .replace(/^x-(?:ph-)?/, '')
      .replaceAll(/[^a-z0-9]/g, '');
    const name = names.find((known) => known === plain);
    if (name === undefined) others.push([key, value]);
    else named[name] ??= textOf(value);
  }
  // Not by assignment: `__proto__` is a name like any other.
  return { named, others: Object.fromEntries(others) };
}

function entryOf(numbers: Numbers, number: string | undefined): Numbers[string] | undefined {
  // `sip:+4930123@example.com;user=phone`, `+49 (30) 123`, `4930123`
  const digits = (number ?? '')
    .replace(/^sips?:/, '')
    .replace(/[@;].*$/, '')
    .replaceAll(/[^\d]/g, '');
  if (digits === '') return undefined;
  for (const key of [`+${digits}`, digits]) if (Object.hasOwn(numbers, key)) return numbers[key];
  return undefined;
}

/** In a URL that nobody has escaped, the plus of a number is a blank. */
function plusOf(number: string | undefined): string | undefined {
  return number?.replace(/^ (?=\d)/, '+');
}

/** A carrier's id with what no call id may have replaced. */
function idOf(carrierCallId: string | undefined): string | undefined {
  return carrierCallId?.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 128);
}

function defined(values: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function refused(code: ErrorCode, message: string): Unidentified {
  return { refusal: { code, message } };
}
