import { z } from 'zod';

/** Nodes report every 10 s (`freeswitch/system/heartbeat.timer`): one that has missed three reports counts as down. */
export const NODE_SILENT_MS = 30_000;
/** A node that has been silent for so long is forgotten: it was taken away. */
export const NODE_FORGOTTEN_MS = 7 * 24 * 3_600_000;

const count = (max: number) => z.number().min(0).max(max);

/** What a FreeSWITCH node says of itself (`freeswitch/bin/heartbeat`). */
export const heartbeatSchema = z.strictObject({
  /** `draining`: takes no new calls, on purpose. `failing`: FreeSWITCH does not answer, or lacks a part. */
  state: z.enum(['up', 'draining', 'failing']),
  calls: count(100_000).int(),
  /** The most that it takes. */
  maxCalls: count(100_000).int(),
  callsPerSecond: count(100_000),
  /** Per cent. */
  idleCpu: count(100),
  loadAverage: count(100_000),
  cores: count(10_000).int(),
});
export type Heartbeat = z.output<typeof heartbeatSchema>;

export interface NodeReport extends Heartbeat {
  name: string;
  /** When it came, milliseconds since the epoch. */
  at: number;
}

/** How a node is, as seen from here. */
export type NodeState = Heartbeat['state'] | 'silent';

export function stateOf(node: NodeReport, now: number): NodeState {
  return now - node.at >= NODE_SILENT_MS ? 'silent' : node.state;
}

/** How many nodes are in which state. Null: none has ever reported, so nobody uses nodes here. */
export function nodeCounts(nodes: readonly NodeReport[], now: number): Record<NodeState, number> | null {
  if (nodes.length === 0) return null;
  const counts = { up: 0, draining: 0, failing: 0, silent: 0 };
  for (const node of nodes) counts[stateOf(node, now)] += 1;
  return counts;
}

/** Whether there are nodes and none of them takes calls. */
export function everyNodeDown(nodes: readonly NodeReport[], now: number): boolean {
  const counts = nodeCounts(nodes, now);
  return counts !== null && counts.up === 0;
}

/** Of each node its last report, and how it is. */
export function nodeStates(nodes: readonly NodeReport[], now: number) {
  return nodes.map((node) => ({ ...node, state: stateOf(node, now) }));
}
