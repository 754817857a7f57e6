import { inspect } from 'node:util';
import { getAuthSchemaSql, SUPABASE_AUTH_HELPERS_SQL } from '@supabase/lite';
import { PgliteConnection } from '@supabase/lite/pglite';

/**
 * `@supabase/lite` over PGlite, mended where it differs from a hosted project: the form of numbers and times, the
 * answers to failed constraints, and privileges.
 */
export class HostedLikeConnection extends PgliteConnection {
  /** A database of a folder, or one in memory that starts as a copy of `image` (see `image.ts`). */
  constructor(source: { folder: string } | { image: Blob }) {
    super(
      'folder' in source
        ? { url: source.folder, pgliteOptions: { parsers: hostedParsers } }
        : { pgliteOptions: { loadDataDir: source.image, parsers: hostedParsers } },
    );
    // Left to itself, lite grants every table to every role on the first request, behind the migrations' back.
    if (!Reflect.has(this, 'rlsState'))
      throw new Error('this version of @supabase/lite is not the one we know');
    Reflect.set(this, 'rlsState', 'active');
  }

  /** Waits for Postgres and makes the roles, default privileges and `auth` schema of a hosted project. */
  async prepare(): Promise<void> {
    await this.driver.waitReady;
    await this.driver.exec(hostedProjectSql);
  }

  /**
   * lite answers 500 `SUP` to SQLSTATEs that it does not list. Those that PostgREST answers with 400 are put into
   * the form in which a function dictates its answer (`RAISE SQLSTATE 'PGRST'`), which lite passes on.
   */
  override normalizeDbError(error: unknown): unknown {
    const normalized = super.normalizeDbError(error);
    if (typeof normalized !== 'object' || normalized === null) return normalized;
    const { code, message, detail, hint } = normalized as Record<string, unknown>;
    if (typeof code !== 'string' || typeof message !== 'string') return normalized;
    if (!statesAnsweredWith400.test(code)) return new RefusedRequest(message, { code, detail, hint });
    return new RefusedRequest(JSON.stringify({ code, message, details: detail, hint }), {
      code: 'PGRST',
      detail: JSON.stringify({ status: 400, headers: {} }),
    });
  }
}

/** lite prints every error that it answers: one line of this one, without the caller's data that Postgres adds. */
class RefusedRequest extends Error {
  override readonly name = 'RefusedRequest';
  readonly code: string;
  readonly detail: unknown;
  readonly hint: unknown;

  constructor(message: string, fields: { code: string; detail?: unknown; hint?: unknown }) {
    super(message);
    this.code = fields.code;
    this.detail = fields.detail;
    this.hint = fields.hint;
  }

  [inspect.custom](): string {
    const { code, message }: { code: string; message: string } =
      this.code === 'PGRST' ? JSON.parse(this.message) : this;
    return `embedded Supabase refused a request: ${code} ${message}`;
  }
}

/** Failed constraints but 23503 and 23505 (409, and lite knows them), and `RAISE EXCEPTION`. */
const statesAnsweredWith400 = /^(23(?!503$|505$)[0-9A-Z]{3}|P0001)$/;

/**
 * A hosted project renders rows by Postgres' own JSON functions: numbers are numbers, times are ISO 8601. By the
 * types' object ids (`pg_type`).
 */
const hostedParsers: Record<number, (text: string) => unknown> = {
  1700: jsonNumber,
  1231: (text) => parseArray(text, jsonNumber),
  1114: (text) => text.replace(' ', 'T'),
  1184: isoTimestamp,
  1185: (text) => parseArray(text, isoTimestamp),
};

/** `NaN` and the infinities are no JSON numbers and stay text. */
function jsonNumber(text: string): number | string {
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

/** `2026-11-21 04:24:26.67+00` to `2026-11-21T04:24:26.67+00:00`; `infinity` stays. */
function isoTimestamp(text: string): string {
  return text.replace(' ', 'T').replace(/([+-]\d{2})$/, '$1:00');
}

/** One dimension; neither numbers nor times hold a comma, a quote or a brace. */
function parseArray(text: string, parse: (text: string) => unknown): unknown {
  const inner = text.replace(/^\{|\}$/g, '');
  if (inner === '') return [];
  return inner.split(',').map((item) => (item === 'NULL' ? null : parse(item.replaceAll('"', ''))));
}

/** Roles, default privileges and the `auth` schema, for a database that is to stand in for a hosted project's. Repeatable. */
export const hostedProjectSql = `
  do $$ begin
    if not exists (select from pg_roles where rolname = 'anon') then
      create role anon nologin noinherit;
      create role authenticated nologin noinherit;
      create role service_role nologin noinherit bypassrls;
    end if;
  end $$;
  grant usage on schema public to anon, authenticated, service_role;
  alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
  alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
  alter default privileges in schema public grant execute on functions to anon, authenticated, service_role;
  ${getAuthSchemaSql()}
  ${SUPABASE_AUTH_HELPERS_SQL}
  grant usage on schema auth to anon, authenticated, service_role;
`;
