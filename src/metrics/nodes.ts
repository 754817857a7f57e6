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

/** Prometheus text, a line for each node; nothing where there are none. Names are those of the setting `NODES`: no character of them needs escaping. */
export function prometheusNodes(nodes: readonly NodeReport[], now: number): string {
  if (nodes.length === 0) return '';
  const gauge = (name: string, help: string, value: (node: NodeReport) => number) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    ...nodes.map((node) => `${name}{node="${node.name}"} ${value(node)}`),
  ];
  const lines = [
    ...gauge('node_up', 'Whether the node takes calls.', (node) => (stateOf(node, now) === 'up' ? 1 : 0)),
    ...gauge('node_silence_seconds', 'Since its last heartbeat.', ({ at }) => Math.max(0, now - at) / 1_000),
    ...gauge('node_calls', 'Calls on the node.', ({ calls }) => calls),
    ...gauge('node_calls_max', 'The most that it takes.', ({ maxCalls }) => maxCalls),
    ...gauge(
      'node_idle_cpu_ratio',
      'Idle share of its processor, as it says.',
      ({ idleCpu }) => idleCpu / 100,
    ),
    ...gauge('node_load_average', 'Over a minute, as it says.', ({ loadAverage }) => loadAverage),
  ];
  return `${lines.join('\n')}\n`;
}
