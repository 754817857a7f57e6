import { describe, expect, it } from 'vitest';
import type { LanguageModel, LanguageModelEvent, LanguageModelRequest } from '../../src/providers/ports.ts';
import {
  arrivals,
  collect,
  eventually,
  expectFailure,
  failureOf,
  type Subject,
  subjects,
  type VendorFault,
  vendorFaults,
  when,
} from './port-conformance.ts';

/** What the vendor does with every request. */
export type ModelBehaviour =
  | VendorFault
  /** Says {@link pieces}, and tells its bill. */
  | 'talks'
  /** Says the first piece, and asks for {@link toolCall}, whose arguments come in parts where the vendor streams them. */
  | 'asksForTool'
  /** Says the first piece, and then nothing more. */
  | 'stalls'
  /** Says the first piece, and cuts the line. */
  | 'breaksOff'
  /** 400. */
  | 'rejects';

export const pieces = ['Hello', ' there', '.'] as const;
export const toolCall = { name: 'look_up', arguments: { city: 'Bonn', days: 2 } } as const;

export interface LanguageModelSubject extends Subject {
  languageModel: LanguageModel;
  /** The last request's body, as it came. */
  asked(): unknown;
  /** What the vendor's model says, piece by piece. Default: {@link pieces}. */
  says?(request: LanguageModelRequest): Promise<readonly string[]>;
  /** The vendor's models take none. */
  withoutTemperature?: true;
}

const request: LanguageModelRequest = {
  messages: [
    { role: 'system', content: 'You are brief.' },
    { role: 'user', content: 'Good morning' },
  ],
  maxOutputTokens: 123,
  tools: [
    {
      name: 'look_up',
      description: 'The weather',
      parameters: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'number' } } },
    },
  ],
};

/**
 * The contract of `LanguageModel`.
 *
 * @param start makes one with a vendor that behaves so.
 * @param can which behaviours it can have. Default: all.
 */
export function describeLanguageModel(
  name: string,
  start: (behaviour: ModelBehaviour) => Promise<LanguageModelSubject>,
  can: (behaviour: ModelBehaviour) => boolean = () => true,
): void {
  describe(`language model: ${name}`, () => {
    const begin = subjects(start);
    const live = () => new AbortController().signal;
    const wordsOf = (subject: LanguageModelSubject, asked = request) => subject.says?.(asked) ?? pieces;
    const wholeOf = async (subject: LanguageModelSubject, asked = request) =>
      (await wordsOf(subject, asked)).join('');

    it('streams the text, tells that it has finished, and then what was charged', async () => {
      const subject = await begin('talks');
      const { done, seen, ...reply } = collect(subject.languageModel.reply(request, live()));
      await done;
      expect(reply.error).toBeNull();
      expect(textOf(seen)).toBe(await wholeOf(subject));
      expect(seen.filter(({ type }) => type === 'text').length).toBeGreaterThan(1);
      const finished = seen.findIndex(({ type }) => type === 'finished');
      expect(seen.filter(({ type }) => type === 'finished')).toHaveLength(1);
      expect(seen.findLastIndex(({ type }) => type === 'text')).toBeLessThan(finished);
      const usages = seen.flatMap((event) => (event.type === 'usage' ? [event.usage] : []));
      expect(usages).toHaveLength(1);
      expect(usages[0]!.provider).toMatch(/^[a-z0-9-]+\/\S/);
      expect(usages[0]!.inputTokens).toBeGreaterThan(0);
      expect(usages[0]!.outputTokens).toBeGreaterThan(0);
    });

    it('gives the vendor everything that was asked', async () => {
      const subject = await begin('talks');
      await collect(subject.languageModel.reply({ ...request, temperature: 0.25 }, live())).done;
      const body = JSON.stringify(subject.asked());
      for (const part of [
        'You are brief.',
        'Good morning',
        '123',
        ...(subject.withoutTemperature ? [] : ['0.25']),
        'look_up',
        'The weather',
        '"city"',
      ]) {
        expect(body).toContain(part);
      }
    });

    it('offers no tools where there are none', async () => {
      const subject = await begin('talks');
      const { tools: _, ...without } = request;
      for (const each of [without, { ...without, tools: [] }]) {
        const reply = collect(subject.languageModel.reply(each, live()));
        await reply.done;
        expect([reply.error, textOf(reply.seen)]).toEqual([null, await wholeOf(subject)]);
        expect(JSON.stringify(subject.asked())).not.toContain('"tools"');
      }
    });

    when(can('asksForTool'))(
      'tells a tool call whole, behind the text before it, and that it has finished',
      async () => {
        const { languageModel } = await begin('asksForTool');
        const reply = collect(languageModel.reply(request, live()));
        await reply.done;
        expect(reply.error).toBeNull();
        const types = said(reply.seen).map(({ type }) => type);
        expect(types).toEqual(['text', 'toolCall', 'finished']);
        const calls = reply.seen.flatMap((event) => (event.type === 'toolCall' ? [event.call] : []));
        expect(calls[0]!.name).toBe(toolCall.name);
        expect(calls[0]!.id).toMatch(/^\S{1,256}$/);
        expect(JSON.parse(calls[0]!.arguments)).toEqual(toolCall.arguments);
      },
    );

    it('takes a conversation with tool calls and their results', async () => {
      const subject = await begin('talks');
      const messages: LanguageModelRequest['messages'] = [
        ...request.messages,
        {
          role: 'assistant',
          content: 'One moment.',
          toolCalls: [
            { id: 'call_a', name: 'look_up', arguments: '{"city":"Bonn"}' },
            { id: 'call_b', name: 'look_up', arguments: 'broken {' },
          ],
        },
        { role: 'tool', toolCallId: 'call_a', content: 'It rains.' },
        { role: 'tool', toolCallId: 'call_b', content: 'No such city.' },
        { role: 'user', content: 'And tomorrow?' },
      ];
      const asked = { ...request, messages };
      const reply = collect(subject.languageModel.reply(asked, live()));
      await reply.done;
      expect([reply.error, textOf(reply.seen)]).toEqual([null, await wholeOf(subject, asked)]);
      const body = JSON.stringify(subject.asked());
      for (const part of ['One moment.', 'call_a', 'call_b', 'It rains.', 'No such city.', 'And tomorrow?']) {
        expect(body).toContain(part);
      }
    });

    it('gives each of two replies at once its own text', async () => {
      const subject = await begin('talks');
      const replies = [1, 2].map(() => collect(subject.languageModel.reply(request, live())));
      for (const reply of replies) {
        await reply.done;
        expect([reply.error, textOf(reply.seen)]).toEqual([null, await wholeOf(subject)]);
      }
    });

    when(can('stalls'))(
      'ends quietly in the middle when the signal fires, and lets go of the connection',
      async () => {
        const subject = await begin('stalls');
        const abort = new AbortController();
        const [first] = await wordsOf(subject);
        const reply = collect(subject.languageModel.reply(request, abort.signal));
        await eventually(() => said(reply.seen).length > 0 || reply.over);
        expect(textOf(reply.seen)).toBe(first);
        abort.abort();
        await reply.done;
        expect([reply.error, textOf(reply.seen)]).toEqual([null, first]);
        await eventually(() => subject.open() === 0);
      },
    );

    when(can('silent'))(
      'ends quietly when the signal fires before anything came, and lets go of the connection',
      async () => {
        const subject = await begin('silent');
        const abort = new AbortController();
        const reply = collect(subject.languageModel.reply(request, abort.signal));
        await eventually(() => subject.made() > 0);
        abort.abort();
        await reply.done;
        expect([reply.error, said(reply.seen)]).toEqual([null, []]);
        await eventually(() => subject.open() === 0);
      },
    );

    when(can('stalls'))('lets go of the connection when nobody wants more', async () => {
      const subject = await begin('stalls');
      for await (const event of subject.languageModel.reply(request, live())) {
        if (event.type === 'text') break;
      }
      await eventually(() => subject.open() === 0);
    });

    it('asks nothing for a turn that is over already', async () => {
      const subject = await begin('talks');
      const reply = collect(subject.languageModel.reply(request, AbortSignal.abort()));
      await reply.done;
      await arrivals();
      expect([reply.error, reply.seen, subject.made()]).toEqual([null, [], 0]);
    });

    when(can('breaksOff'))('fails after what it said when the line is cut', async () => {
      const { languageModel } = await begin('breaksOff');
      const reply = collect(languageModel.reply(request, live()));
      await reply.done;
      expect(textOf(reply.seen)).toBe(pieces[0]);
      expectFailure(reply.error, 'unavailable');
    });

    it.each(vendorFaults.filter(can))('fails in the ports’ own terms, without a word: %s', async (fault) => {
      const subject = await begin(fault);
      const reply = collect(subject.languageModel.reply(request, live()));
      await reply.done;
      expectFailure(reply.error, failureOf[fault]);
      expect(said(reply.seen)).toEqual([]);
      await eventually(() => subject.open() === 0);
    });

    when(can('rejects'))('does not repeat a request that was wrong', async () => {
      const subject = await begin('rejects');
      const reply = collect(subject.languageModel.reply(request, live()));
      await reply.done;
      expectFailure(reply.error, 'rejected');
      expect(subject.made()).toBe(1);
    });
  });
}

/** Without the bill, and without who else was asked. */
function said(events: readonly LanguageModelEvent[]): LanguageModelEvent[] {
  return events.filter(({ type }) => type !== 'usage' && type !== 'failover');
}

function textOf(events: readonly LanguageModelEvent[]): string {
  return events.map((event) => (event.type === 'text' ? event.text : '')).join('');
}
