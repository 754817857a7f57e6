/**
 * Words that errors are made of, and people hardly: a message is shown as far as it consists of them. Names, numbers, what a caller
 * said or a vendor quotes of it are none of them, so nothing need be known of their form.
 */
const VOCABULARY = new Set(
  // What failed, and how.
  (
    'abort aborted access account alarm allowed already answer answered api audio auth authentication authorized body broken bucket ' +
    'bytes cancelled cannot canceled closed code column command connect connection constraint content could cpu cut ' +
    'dangling database day deadline delivered delivery denied deployment did disconnected disk dns does duplicate ' +
    'durable empty ended error errors event exceeded exception exists expired failed failure fetch file first for forbidden found from ' +
    'full function gateway handshake has header headers host hung id in input insert insufficient internal invalid io is isolate ' +
    'json jwt key kv large late length limit limits line long longer loopback lost many maximum memory message method missing ms ' +
    'must network no not null object of offline on opened or origin out overloaded own parameter parse parsed ' +
    'part parts password path payload permission policy port postgrest primary promise property protocol provider ' +
    'quota r2 range rate read reached reading record refused relation request requests required reset resource response ' +
    'retry revoked role row schema second seconds security select sent server service session signature size socket ' +
    'sql sqlite state status storage stored stream subrequests such supabase syntax table takes temporarily than the timed timeout timestamp ' +
    'to token too took type unauthorized unavailable undefined unexpected unique unknown unreachable unsupported update upload upstream ' +
    'value version violates violation vendor was websocket went while with within without worker write writes wrong ' +
    // Causes as systems name them.
    'econnrefused econnreset ehostunreach enetunreach enotfound epipe etimedout eai_again sqlite_full sqlite_busy sqlite_nomem ' +
    // What the database of this service has.
    'call_started call_conversation call_ended reserve_call settle_call call_logs call_turns call_failures campaign campaigns ' +
    'users payment_transactions call_reservations position'
  ).split(' '),
);

const MOST = 300;
const TOKEN = /[\p{L}_][\p{L}\p{M}\d_']*|\d+|[^\p{L}\d_]+/gu;
/** A status of HTTP: also as far as it is a group of somebody's number, three digits tell nothing. */
const STATUS = /^[1-5]\d\d$/;

/** An error's own words, so far as they are words of errors; whatever else stands there is `…`. */
export function errorWords(text: string): string {
  let shown = '';
  let statuses = 0;
  for (const [token] of text.slice(0, 2_000).matchAll(TOKEN)) {
    if (shown.length > MOST) break;
    if (/^[\s:;,.]+$/.test(token)) shown += shown.endsWith('…') ? '' : token;
    else if (VOCABULARY.has(token.toLowerCase())) shown += shown.endsWith('…') ? ` ${token}` : token;
    else if (STATUS.test(token) && ++statuses === 1) shown += shown.endsWith('…') ? ` ${token}` : token;
    else if (!shown.endsWith('…')) shown += shown === '' || shown.endsWith(' ') ? '…' : ' …';
  }
  return shown.trim();
}

const KIND = /^[A-Za-z]{0,40}(?:Error|Exception|Long)$/;
/** `ECONNRESET`, `PGRST205`, `rate_limit_exceeded`; Postgres' own, `23505`. */
const CODE = /^(?:[A-Z][A-Z_]{2,40}|PGRST\d{3}|[a-z]{2,20}(?:_[a-z]{2,20}){1,4}|[0-9A-Z]{5})$/;

/** An error as it may be logged: its kind, its code and status, and its words by {@link errorWords}. */
export function errorSummary(error: unknown): string {
  if (!(error instanceof Error)) return errorWords(String(error));
  const { code, status } = error as { code?: unknown; status?: unknown };
  return [
    KIND.test(error.name) ? error.name : 'Error',
    ...(typeof code === 'string' && CODE.test(code) ? [code] : []),
    ...(typeof status === 'number' ? [String(status)] : []),
    `: ${errorWords(error.message)}`,
  ]
    .join(' ')
    .replace(' : ', ': ');
}
