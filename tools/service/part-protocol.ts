import { z } from 'zod';

/** A launcher → one of its parts (each a process of its own), over Node's IPC line. */
export interface PartRequest {
  id: number;
  method: string;
  params: unknown;
}

export const partRequestSchema = z.object({ id: z.number().int(), method: z.string(), params: z.unknown() });

/** A part → its launcher. */
export const partMessageSchema = z.discriminatedUnion('type', [
  /** What a slow start is at, in words. */
  z.object({ type: z.literal('progress'), text: z.string() }),
  z.object({ type: z.literal('result'), id: z.number().int(), value: z.unknown() }),
  z.object({ type: z.literal('failed'), id: z.number().int(), message: z.string() }),
]);
export type PartMessage = z.output<typeof partMessageSchema>;

/** How long a part may take to close in order, in milliseconds; then it is killed with all that it started. */
export const closeLimitMs = 8_000;
