import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { ToolCall } from '../../../src/providers/ports.ts';
import {
  AnswerTooLong,
  type CallActions,
  defineTool,
  type Tool,
  type ToolCallFacts,
  type ToolContext,
  ToolError,
  type ToolRepeat,
  type ToolResult,
  type ToolRun,
} from '../../../src/tools/tool.ts';
import { ToolBox, type ToolBoxOptions } from '../../../src/tools/tool-box.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const call: ToolCallFacts = {
  callId: 'call-1',
  userId: 'user-1',
  campaignId: null,
  phoneNumber: '+14155550100',
  startTime: 1_700_000_000_000,
  metadata: {},
};
const actions: CallActions = { hangUp: () => {}, transfer: () => true, pressDigits: () => true };

/** A tool whose every run waits until the test ends it. */
class HeldTool {
  readonly runs: { args: unknown; context: ToolContext; end: PromiseWithResolvers<ToolResult> }[] = [];
  readonly tool: Tool;

  constructor(repeat: ToolRepeat = 'once', name = 'book') {
    this.tool = defineTool({
      name,
      description: 'Books a table.',
      schema: z.object({ day: z.string(), seats: z.number().default(2) }),
      timeoutMs: 5_000,
      repeat,
      run: (args, context) => {
        const end = Promise.withResolvers<ToolResult>();
        this.runs.push({ args, context, end });
        return end.promise;
      },
    });
  }

  /** Resolves with the run of this number, from 0, once it has begun. */
  async begun(number: number) {
    await vi.waitUntil(() => this.runs.length > number, { interval: 1 });
    return this.runs[number]!;
  }
}

let clock: FakeClock;
let recorded: ToolRun[];
let errors: unknown[];
beforeEach(() => {
  clock = new FakeClock();
  recorded = [];
  errors = [];
});
afterEach(() => {
  expect(clock.pending).toBe(0);
});

function box(tools: readonly Tool[], options: Partial<ToolBoxOptions> = {}): ToolBox {
  return new ToolBox({
    tools,
    call,
    actions,
    clock,
    onRun: (run) => recorded.push(run),
    onError: (error) => errors.push(error),
    ...options,
  });
}

let ids = 0;
const asked = (args: string, name = 'book'): ToolCall => ({ id: `request-${++ids}`, name, arguments: args });
const friday = '{"day":"Friday"}';
const done = (content = 'Booked.'): ToolResult => ({ ok: true, content });

/** A tool that does at once what it is told. */
function immediate(run: (context: ToolContext) => Promise<ToolResult>, repeat: ToolRepeat = 'once'): Tool {
  return defineTool({
    name: 'book',
    description: 'Books.',
    schema: z.object({ day: z.string() }),
    timeoutMs: 5_000,
    repeat,
    run: (_, context) => run(context),
  });
}

describe('ToolBox, so that nothing is done twice', () => {
  it('does not book again what was booked while nobody listened: the second request joins the first', async () => {
    const held = new HeldTool();
    const tools = box([held.tool]);
    const first = tools.run(asked('{"day":"Friday","seats":2}'));
    // Written in another order, with the default said or not: it means the same.
    const second = tools.run(asked('{ "seats": 2, "day": "Friday" }'));
    const third = tools.run(asked(friday));
    (await held.begun(0)).end.resolve(done('Booked, number 7.'));
    expect(await Promise.all([first, second, third])).toEqual(Array(3).fill(done('Booked, number 7.')));
    expect(held.runs).toHaveLength(1);
    // Each request has its own answer in the conversation: a vendor refuses one without.
    expect(recorded.map((run) => run.id)).toEqual([
      `request-${ids - 2}`,
      `request-${ids - 1}`,
      `request-${ids}`,
    ]);
    expect(new Set(recorded.map((run) => run.idempotencyKey)).size).toBe(1);
  });

  it('does not book again what was booked before: the result is given again and says so', async () => {
    const held = new HeldTool();
    const tools = box([held.tool]);
    const first = tools.run(asked(friday));
    (await held.begun(0)).end.resolve(done('Number 7.'));
    await first;
    const second = await tools.run(asked(friday));
    expect(second.ok).toBe(true);
    expect(second.content).toContain('done before in this call');
    expect(second.content).toContain('Number 7.');
    expect(held.runs).toHaveLength(1);
    expect(recorded[1]!.idempotencyKey).toBe(recorded[0]!.idempotencyKey);
  });

  it('does not take another order of the same arguments for another booking, however deep it lies', async () => {
    const run = vi.fn(async () => done());
    const schema = z.looseObject({});
    const tool = defineTool({ name: 'book', description: 'Books.', schema, timeoutMs: 5_000, run });
    const tools = box([tool]);
    await tools.run(asked('{"guests":[{"name":"Ada","age":36}],"day":"Friday"}'));
    await tools.run(asked('{"day":"Friday","guests":[{"age":36.0,"name":"\\u0041da"}]}'));
    expect(run).toHaveBeenCalledTimes(1);
    await tools.run(asked('{"day":"Friday","guests":[{"age":"36","name":"Ada"}]}'));
    expect(run).toHaveBeenCalledTimes(2);
  });

  it('books again for other arguments', async () => {
    const held = new HeldTool();
    const tools = box([held.tool]);
    const runs = [tools.run(asked(friday)), tools.run(asked('{"day":"Monday"}'))];
    (await held.begun(0)).end.resolve(done());
    (await held.begun(1)).end.resolve(done());
    await Promise.all(runs);
    expect(held.runs.map((run) => run.args)).toEqual([
      { day: 'Friday', seats: 2 },
      { day: 'Monday', seats: 2 },
    ]);
    expect(recorded[0]!.idempotencyKey).not.toBe(recorded[1]!.idempotencyKey);
  });

  it('gives a repetition after a failure the same idempotency key: the first may have booked all the same', async () => {
    const held = new HeldTool();
    const tools = box([held.tool]);
    const first = tools.run(asked(friday));
    (await held.begun(0)).end.reject(new ToolError('The connection broke.'));
    expect(await first).toEqual({ ok: false, content: 'The connection broke.' });
    const second = tools.run(asked(friday));
    const run = await held.begun(1);
    expect(run.context.idempotencyKey).toBe(held.runs[0]!.context.idempotencyKey);
    run.end.resolve(done());
    expect(await second).toEqual(done());
  });

  it('looks up anew after a look-up, under a key of its own, and joins one under way', async () => {
    const held = new HeldTool('later');
    const tools = box([held.tool]);
    const both = [tools.run(asked(friday)), tools.run(asked(friday))];
    (await held.begun(0)).end.resolve(done('Two free.'));
    await Promise.all(both);
    const third = tools.run(asked(friday));
    const run = await held.begun(1);
    run.end.resolve(done('None free.'));
    expect(await third).toEqual(done('None free.'));
    expect(run.context.idempotencyKey).not.toBe(held.runs[0]!.context.idempotencyKey);
  });

  it('presses the same key twice when it is asked for twice at once', async () => {
    const held = new HeldTool('always');
    const tools = box([held.tool]);
    const both = [tools.run(asked(friday)), tools.run(asked(friday))];
    (await held.begun(0)).end.resolve(done());
    (await held.begun(1)).end.resolve(done());
    await Promise.all(both);
    expect(held.runs[0]!.context.idempotencyKey).not.toBe(held.runs[1]!.context.idempotencyKey);
  });

  it('has the same key whatever was asked for before it, and another one in another call', async () => {
    const keyIn = async (callId: string, ...before: string[]) => {
      const tools = box([immediate(async () => done())], { call: { ...call, callId } });
      for (const day of [...before, 'Friday']) await tools.run(asked(JSON.stringify({ day })));
      return recorded.at(-1)!.idempotencyKey;
    };
    const key = await keyIn('call-1');
    expect(key).toMatch(/^tool_[0-9a-f]{32}$/);
    expect(await keyIn('call-1', 'Monday', 'Tuesday')).toBe(key);
    expect(await keyIn('call-2')).not.toBe(key);
  });
});

describe('ToolBox, of a call that was restarted', () => {
  const run = async (tools: ToolBox, held: HeldTool, result: ToolResult): Promise<ToolResult> => {
    const number = held.runs.length;
    const running = tools.run(asked(friday));
    (await held.begun(number)).end.resolve(result);
    return running;
  };

  it('does not book again what was booked before the restart', async () => {
    const held = new HeldTool();
    const before = box([held.tool]);
    await run(before, held, done('Number 7.'));
    await before.run(asked(friday));
    const after = box([held.tool], { results: [...recorded] });
    const again = await after.run(asked(friday));
    expect(again.content).toBe(
      'This was done before in this call, and is not done again. Its result was: Number 7.',
    );
    expect(held.runs).toHaveLength(1);
  });

  it('repeats what was under way under the same key', async () => {
    const held = new HeldTool();
    const before = box([held.tool]);
    const lost = before.run(asked(friday));
    const first = await held.begun(0);
    const after = box([held.tool], { results: [] });
    await run(after, held, done());
    expect(held.runs[1]!.context.idempotencyKey).toBe(first.context.idempotencyKey);
    before.close();
    await lost;
  });

  it('counts look-ups on, so that a new one is not answered from the memory of an old one', async () => {
    const held = new HeldTool('later');
    const before = box([held.tool]);
    // Two requests with one result are one look-up.
    const joined = before.run(asked(friday));
    await run(before, held, done());
    await joined;
    await run(before, held, { ok: false, content: 'Busy.' });
    await run(before, held, done());
    const after = box([held.tool], { results: [...recorded] });
    await run(after, held, done());
    await run(before, held, done());
    const keys = held.runs.map((each) => each.context.idempotencyKey);
    expect(keys[1]).toBe(keys[2]);
    expect(new Set(keys).size).toBe(3);
    // As if there had been no restart.
    expect(keys[3]).toBe(keys[4]);
  });

  it('takes results of tools that are gone, or take other arguments now', async () => {
    const held = new HeldTool();
    const gone: ToolRun = {
      id: 'x',
      name: 'gone',
      arguments: '{}',
      content: '',
      ok: true,
      at: 0,
      tookMs: 0,
      idempotencyKey: 'tool_1',
    };
    const after = box([held.tool], {
      results: [gone, { ...gone, name: 'book', arguments: '{"date":1}', idempotencyKey: 'tool_2' }],
    });
    expect(await run(after, held, done())).toEqual(done());
  });
});

describe('ToolBox, so that no result is lost', () => {
  it('has recorded a result before anybody can speak of it', async () => {
    const order: string[] = [];
    const tools = box([immediate(async () => done())], { onRun: () => order.push('recorded') });
    await tools.run(asked(friday)).then(() => order.push('told'));
    await tools.run(asked(friday)).then(() => order.push('told'));
    expect(order).toEqual(['recorded', 'told', 'recorded', 'told']);
  });

  it('records the whole of a run, with its times', async () => {
    const held = new HeldTool();
    const tools = box([held.tool]);
    const at = clock.now();
    const running = tools.run({ id: 'abc', name: 'book', arguments: friday });
    const begun = await held.begun(0);
    await clock.advance(1_200);
    begun.end.resolve(done());
    await running;
    const { idempotencyKey } = begun.context;
    expect(recorded).toEqual([
      {
        id: 'abc',
        name: 'book',
        arguments: friday,
        content: 'Booked.',
        ok: true,
        at,
        tookMs: 1_200,
        idempotencyKey,
      },
    ]);
  });

  it('goes on with a run that nobody waits for any more, and gives its result to the next turn', async () => {
    const held = new HeldTool();
    const tools = box([held.tool]);
    // The turn was interrupted: its promise is dropped.
    void tools.run(asked(friday));
    const first = await held.begun(0);
    const next = tools.run(asked(friday));
    expect(first.context.signal.aborted).toBe(false);
    first.end.resolve(done());
    expect(await next).toEqual(done());
    expect(recorded).toHaveLength(2);
  });

  it('has recorded every run under way when the call is closed, and runs nothing afterwards', async () => {
    const held = new HeldTool();
    const tools = box([held.tool]);
    const running = [tools.run(asked(friday)), tools.run(asked(friday))];
    const { context, end } = await held.begun(0);
    // Not even begun: its key is still being made.
    running.push(tools.run(asked('{"day":"Monday"}')));
    tools.close();
    expect(context.signal.aborted).toBe(true);
    expect(recorded.map((run) => [run.ok, run.idempotencyKey])).toEqual([
      [false, context.idempotencyKey],
      [false, context.idempotencyKey],
      [false, null],
    ]);
    end.resolve(done());
    for (const result of await Promise.all(running)) expect(result.content).toContain('The call ended first');
    expect(await tools.run(asked(friday))).toEqual({
      ok: false,
      content: 'The call is over. Nothing was done.',
    });
    expect(recorded).toHaveLength(3);
    expect(held.runs).toHaveLength(1);
  });

  it('tells the model of a booking that was made even where it could not be recorded', async () => {
    const tools = box([immediate(async () => done())], {
      onRun: () => {
        throw new Error('disk full');
      },
    });
    expect(await tools.run(asked(friday))).toEqual(done());
    expect(errors).toEqual([new Error('disk full')]);
  });
});

describe('ToolBox, whatever the model asks for', () => {
  const refused = async (toolCall: ToolCall, content: string | RegExp) => {
    const run = vi.fn(async () => done());
    const result = await box([immediate(run)]).run(toolCall);
    expect(result).toEqual({ ok: false, content: expect.stringMatching(content) });
    expect(result.content.length).toBeLessThan(2_000);
    expect(run).not.toHaveBeenCalled();
    expect(recorded).toEqual([expect.objectContaining({ id: toolCall.id, ok: false, idempotencyKey: null })]);
    expect(errors).toEqual([]);
  };

  it('names the tools there are to a model that asks for another', () =>
    refused(asked('{}', 'constructor'), 'There is no such tool. There are: book.'));
  it('says that arguments are not JSON', () => refused(asked('{"day":'), /not JSON.*Nothing was done/));
  it('says which argument is missing', () => refused(asked('{}'), /do not fit: day: .*Nothing was done/));
  it('says which argument is wrong', () => refused(asked('{"day":7}'), /day: .*string/));
  it('refuses arguments that are no object', () => refused(asked('null'), /do not fit/));
  it('refuses arguments without end', () =>
    refused(asked(JSON.stringify({ day: 'é'.repeat(8_500) })), 'longer than 16384 bytes'));
  it('does not run out of stack for arguments that are nested without end', () =>
    refused(asked(`{"day":${'['.repeat(8_000)}${']'.repeat(8_000)}}`), 'nested more than 32 levels'));
  it('keeps the record bounded where the arguments are not', async () => {
    await box([immediate(async () => done())]).run(asked('x'.repeat(1_000_000)));
    expect(recorded[0]!.arguments).toHaveLength(16 * 1024);
  });

  it('takes no arguments at all for an empty object', async () => {
    const tool = defineTool({
      name: 'book',
      description: '',
      schema: z.object({}),
      timeoutMs: 1_000,
      run: async () => done(),
    });
    expect(await box([tool]).run(asked(''))).toEqual(done());
  });

  it('does not let a model that asks in a loop go on for ever, restarts counted', async () => {
    const tools = box([immediate(async () => done())], { mostRuns: 3 });
    for (let i = 0; i < 3; i++) expect(await tools.run(asked(friday))).toMatchObject({ ok: true });
    expect((await tools.run(asked(friday))).content).toContain('No more tools');
    const after = box([immediate(async () => done())], { mostRuns: 3, results: [...recorded] });
    expect((await after.run(asked(friday))).content).toContain('No more tools');
    // A refusal is the request's answer in the conversation: without one it would seem to be under way for ever.
    expect(recorded.slice(3).map((run) => [run.ok, run.idempotencyKey])).toEqual([
      [false, null],
      [false, null],
    ]);
  });

  it('refuses two tools of one name, of which one could never be run', () => {
    const tool = immediate(async () => done());
    expect(() => box([tool, tool])).toThrow('two tools have one name');
  });
});

describe('ToolBox, whatever a tool does', () => {
  it('answers in time for a tool that does not, and lets it go', async () => {
    const held = new HeldTool();
    const tools = box([held.tool]);
    const running = tools.run(asked(friday));
    const { context, end } = await held.begun(0);
    await clock.advance(4_999);
    expect(context.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(context.signal.aborted).toBe(true);
    expect(await running).toEqual({
      ok: false,
      content: 'No answer within 5 seconds. It is not known whether it was done.',
    });
    end.resolve(done());
    await clock.advance(10_000);
    expect(recorded).toHaveLength(1);
  });

  it('tells the model nothing of an error of its own making, and the log all of it', async () => {
    const error = new Error('connect ECONNREFUSED db.internal, password hunter2');
    const result = await box([immediate(() => Promise.reject(error))]).run(asked(friday));
    expect(result).toEqual({ ok: false, content: 'The tool failed.' });
    expect(errors).toEqual([error]);
  });

  it('survives a tool that throws before it returns a promise, or returns none', async () => {
    const tools = box([
      immediate(() => {
        throw new ToolError('No.');
      }),
    ]);
    expect(await tools.run(asked(friday))).toEqual({ ok: false, content: 'No.' });
    const none = box([immediate(async () => undefined as unknown as ToolResult)]);
    expect(await none.run(asked(friday))).toEqual({ ok: false, content: 'The tool failed.' });
  });

  const long = { ok: true, content: 'é'.repeat(4_097) };
  it('does not flood the conversation with a long answer', async () => {
    const tools = box([immediate(async () => long, 'later')]);
    const result = await tools.run(asked(friday));
    expect(result).toEqual({ ok: false, content: 'The answer is longer than 8192 bytes. Ask for less.' });
    const fits = box([immediate(async () => ({ ok: true, content: 'é'.repeat(4_096) }))]);
    expect((await fits.run(asked(friday))).ok).toBe(true);
  });

  it('does not tell that a booking failed whose confirmation was too long', async () => {
    const run = vi.fn(async (): Promise<ToolResult> => {
      throw new AnswerTooLong();
    });
    const tools = box([immediate(run)]);
    expect((await tools.run(asked(friday))).ok).toBe(true);
    expect((await tools.run(asked(friday))).ok).toBe(true);
    expect(run).toHaveBeenCalledTimes(1);
  });
});

describe('ToolBox, of what is done afterwards', () => {
  it('promises it to whoever waits for the run, and not again to one who asks later', async () => {
    const afterwards = { act: 'hangUp' } as const;
    const tools = box([immediate(async () => ({ ...done(), afterwards }))]);
    const together = await Promise.all([tools.run(asked(friday)), tools.run(asked(friday))]);
    expect(together.map((result) => result.afterwards)).toEqual([afterwards, afterwards]);
    expect((await tools.run(asked(friday))).afterwards).toBeUndefined();
  });
});
