// The service, whose requests to objects, stores and vendors are counted on their way. One isolate has all of it here.
import * as service from '../../src/index.ts';

const counts = {};

function count(what, times = 1) {
  if (times > 0) counts[what] = (counts[what] ?? 0) + times;
}

/** An object whose methods are counted, each under the name that it is given. */
function counted(target, nameOf) {
  return new Proxy(target, {
    get(from, key) {
      const value = Reflect.get(from, key);
      if (typeof value !== 'function') return value;
      return (...args) => {
        count(nameOf(key));
        // Not `value.apply`: of what is called on another object that would be a method too.
        return Reflect.apply(value, from, args);
      };
    },
  });
}

function countedNamespace(className, namespace) {
  return new Proxy(namespace, {
    get(from, key) {
      const value = Reflect.get(from, key);
      if (typeof value !== 'function') return value;
      return (...args) => {
        const answer = Reflect.apply(value, from, args);
        return key === 'get' ? counted(answer, (method) => `request ${className}.${method}`) : answer;
      };
    },
  });
}

/** Stores of which only what is asked matters. */
const emptyKv = { get: async () => null, put: async () => {}, list: async () => ({ keys: [] }) };
const emptyBucket = {
  head: async () => null,
  put: async (_key, body) => {
    await new Response(body).arrayBuffer();
    return {};
  },
};

const classes = {
  CALL_SESSION: 'CallSessionDO',
  METRICS: 'MetricsDO',
  USER_CALLS: 'UserCallsDO',
  PERMITS: 'PermitsDO',
};
/** One for each of the runtime's: the settings are parsed once for each. */
const environments = new WeakMap();

function countedEnv(env) {
  const known = environments.get(env);
  if (known !== undefined) return known;
  const made = {
    ...env,
    CACHE_KV: counted(emptyKv, (method) => `KV ${method}`),
    RATE_LIMIT_KV: counted(emptyKv, (method) => `KV ${method}`),
    RECORDINGS: counted(emptyBucket, (method) => `R2 ${method}`),
  };
  for (const [name, className] of Object.entries(classes))
    made[name] = countedNamespace(className, env[name]);
  environments.set(env, made);
  return made;
}

// --- what objects do by themselves ---

let patched = false;

/** Rows written, and alarms set (a row each): on the prototypes, since the runtime's own objects cannot be replaced. */
function countStorage({ storage }) {
  if (patched) return;
  patched = true;
  wrap(storage.sql, 'exec', (cursor, query) => {
    const table = /(?:INTO|UPDATE|FROM|TABLE(?: IF NOT EXISTS)?)\s+(\w+)/i.exec(query)?.[1] ?? 'other';
    count(`row of ${table}`, cursor.rowsWritten);
  });
  wrap(storage.kv, 'put', (_, key) => count(`row of kv ${key.replace(/[/:].*/, '')}`));
  wrap(storage.kv, 'delete', (there, key) => count(`row of kv ${key.replace(/[/:].*/, '')}`, there ? 1 : 0));
  wrap(storage, 'setAlarm', () => count('row of an alarm set'));
}

function wrap(object, method, seen) {
  const prototype = Object.getPrototypeOf(object);
  const original = prototype[method];
  prototype[method] = function (...args) {
    const answer = Reflect.apply(original, this, args);
    seen(answer, args[0]);
    return answer;
  };
}

function countedClass(name, Real) {
  return class extends Real {
    constructor(ctx, env) {
      countStorage(ctx);
      super(ctx, countedEnv(env));
    }

    alarm() {
      count(`alarm of ${name}`);
      return super.alarm();
    }
  };
}

export const CallSessionDO = countedClass('CallSessionDO', service.CallSessionDO);
export const UserCallsDO = countedClass('UserCallsDO', service.UserCallsDO);
export const PermitsDO = countedClass('PermitsDO', service.PermitsDO);
export const { MetricsDO } = service;

const send = globalThis.fetch;
globalThis.fetch = (input, init) => {
  const { pathname } = new URL(input instanceof Request ? input.url : String(input));
  if (pathname.startsWith('/rest/v1/')) count(`Supabase ${pathname.slice('/rest/v1/'.length)}`);
  else if (pathname.startsWith('/v1/')) count(`vendor ${pathname}`);
  return send(input, init);
};

export default {
  async fetch(request, env, ctx) {
    if (new URL(request.url).pathname === '/bench/counts') return Response.json(counts);
    return await service.default.fetch(request, countedEnv(env), ctx);
  },
};
