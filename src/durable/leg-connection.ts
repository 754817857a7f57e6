import type { Leg } from '../call/leg.ts';
import type { Principal } from '../call/principal.ts';
import type { Config } from '../config.ts';
import type { DialectEntry, LegContext } from '../dialects/carrier.ts';
import type { LegRequest } from '../http/leg-request.ts';
import type { LegSocket } from './leg-socket.ts';

/** A socket that speaks the dialect of its path. */
export function connectLeg(
  socket: LegSocket,
  dialect: DialectEntry,
  leg: LegRequest,
  { url, headers }: Request,
  config: Config,
): Leg {
  return {
    dialect: dialect.create({
      send: (message) => socket.send(message),
      callId: leg.callId,
      callIdBound: leg.bound,
      query: new URL(url).searchParams,
      headers,
      numbers: config.NUMBERS,
      holder: holderOf(leg.principal),
    }),
    close: (closing) => socket.close(closing),
  };
}

/** For whom a leg calls that names nobody: a token of a person's, or of one call, is somebody's. */
function holderOf({ kind, id, call }: Principal): LegContext['holder'] {
  if (call !== undefined) return call;
  return kind === 'user' ? { userId: id, campaignId: null } : null;
}
