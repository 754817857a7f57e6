import { vi } from 'vitest';
import { type SocketDoubleOptions, socketDouble } from './socket-double.ts';

type Double = Awaited<ReturnType<typeof socketDouble>>;

/** A service on loopback, closed by `closeAll`. */
export function servers() {
  const doubles: Double[] = [];
  return {
    serve: async (options: SocketDoubleOptions): Promise<Double> => {
      const double = await socketDouble(options);
      doubles.push(double);
      return double;
    },
    closeAll: async () => {
      for (const double of doubles.splice(0)) await double.close();
    },
  };
}

/** What depends on sockets: as long as it takes, and no longer. */
export const eventually = (check: () => void | Promise<void>) =>
  vi.waitFor(check, { timeout: 10_000, interval: 2 });

export const ready = { type: 'status', status: 'ready', message: '' };

/** A service that takes every call, ends it when asked to, and says nothing. */
export const contentService: SocketDoubleOptions = {
  connected: (connection) => connection.send({ ...ready, callId: 'x' }),
  message: (connection, message) => {
    if (typed(message, 'start_call')) connection.send(ready);
    if (typed(message, 'end_call')) connection.close(1000);
  },
};

export function typed(message: string | Uint8Array, type: string): boolean {
  return typeof message === 'string' && JSON.parse(message).type === type;
}

/** Frames that have come. */
export function framesIn({ received }: { received: readonly (string | Uint8Array)[] }): number {
  return received.filter((message) => typed(message, 'audio')).length;
}
