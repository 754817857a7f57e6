import { vi } from 'vitest';
import type { CallOptions } from '../../src/call/call-options.ts';
import type { ToolCall } from '../../src/providers/ports.ts';
import { ToolBox } from '../../src/tools/tool-box.ts';
import { createCall } from './call-harness.ts';
import { settle } from './fake-clock.ts';

/** What a model asks for. */
export const toolCall = (name: string, args: object = {}, id = `id-${name}`): ToolCall => ({
  id,
  name,
  arguments: JSON.stringify(args),
});

/** Made once there is a call, and so a clock. */
type Tools = (call: ReturnType<typeof createCall>) => ConstructorParameters<typeof ToolBox>[0]['tools'];

/** Digests are made by the runtime, outside the fake clock: the call goes on once they are there. */
const digests = new Set<Promise<unknown>>();
const { digest } = crypto.subtle;
vi.spyOn(crypto.subtle, 'digest').mockImplementation((...args) => {
  const made = digest.apply(crypto.subtle, args);
  digests.add(made);
  made.finally(() => digests.delete(made)).catch(() => {});
  return made;
});

async function flush(): Promise<void> {
  while (digests.size > 0) {
    await Promise.allSettled(digests);
    await settle();
  }
}

/** A call whose agent has tools. */
export function createCallWithTools(tools: Tools, options: Parameters<typeof createCall>[0] = {}) {
  const made: { call: ReturnType<typeof createCall> | null } = { call: null };
  const createTools: CallOptions['createTools'] = (_agent, facts, actions, onRun) =>
    new ToolBox({ tools: tools(made.call!), call: facts, actions, clock: made.call!.clock, onRun });
  made.call = createCall({
    ...options,
    flush,
    agent: { greeting: '', ...options.agent },
    call: { ...options.call, createTools },
  });
  return made.call;
}

/** Sentences that went out to the leg. */
export const spoken = (call: ReturnType<typeof createCall>) =>
  call.leg.said.flatMap((piece) => piece.text ?? []);
