import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defaultSilence } from '../../../src/call/agent-config.ts';
import type { Message } from '../../../src/providers/ports.ts';
import { hangUp, transferCall } from '../../../src/tools/built-in.ts';
import { defineTool } from '../../../src/tools/tool.ts';
import type { createCall } from '../../support/call-harness.ts';
import { toolCall as call, createCallWithTools, spoken } from '../../support/call-with-tools.ts';
import { type SpeechModelScript, scriptedSpeechModel } from '../../support/scripted-speech-model.ts';

/** A booking that takes a while, and counts how often it was made. */
function booking(tookMs: number) {
  const made: string[] = [];
  const tool = (clock: ReturnType<typeof createCall>['clock']) =>
    defineTool({
      name: 'book',
      description: 'Books a visit.',
      schema: z.object({ day: z.string() }),
      timeoutMs: 20_000,
      repeat: 'once',
      run: async ({ day }) => {
        await new Promise<void>((resolve) => clock.after(tookMs, resolve));
        made.push(day);
        return { ok: true, content: `Booked for ${day}.` };
      },
    });
  return { made, tool };
}

const rolesOf = (messages: readonly Message[] | undefined) => messages?.map(({ role }) => role);

describe('a tool that the model asks for', () => {
  it('is run, and its result is written down before anything of it is spoken', async () => {
    const { made, tool } = booking(800);
    const order: string[] = [];
    const caller = createCallWithTools((each) => [tool(each.clock)], {
      script: {
        transcripts: ['Book me Monday.'],
        answer: (messages) =>
          messages.at(-1)?.role === 'tool'
            ? [`Done: ${messages.at(-1)?.content}`]
            : ['Let me see to that. ', call('book', { day: 'Monday' })],
      },
    });
    const { say } = caller.dialect;
    caller.dialect.say = (samples, text) => {
      if (text !== null) order.push(`say ${text}`);
      say(samples, text);
    };
    caller.events.push = (event) => {
      if (event.type === 'tool.ran') order.push(`ran ${event.run.name}`);
      return Array.prototype.push.call(caller.events, event);
    };
    await caller.start();
    await caller.speak(600);
    await caller.silence(6_000);
    expect(made).toEqual(['Monday']);
    expect(order).toEqual(['say Let me see to that.', 'ran book', 'say Done: Booked for Monday.']);
    expect(caller.transcript()).toEqual([
      'caller: Book me Monday.',
      'agent: Let me see to that. Done: Booked for Monday.',
    ]);
    expect(rolesOf(caller.asked.messages[1])).toEqual(['system', 'user', 'assistant', 'tool']);
    expect(caller.asked.messages[1]?.[2]).toEqual({
      role: 'assistant',
      content: 'Let me see to that. ',
      toolCalls: [call('book', { day: 'Monday' })],
    });
  });

  it('#14 tool results lost on interruption: the booking is made once, and the next turn knows it', async () => {
    const { made, tool } = booking(2_000);
    const caller = createCallWithTools((each) => [tool(each.clock)], {
      script: {
        transcripts: ['Book me Monday.', 'Are you still there?', 'And now?'],
        answer: (messages) =>
          messages.at(-1)?.content === 'Book me Monday.'
            ? ['Let me see to that, it takes a little while. ', call('book', { day: 'Monday' })]
            : ['It is done.'],
      },
    });
    await caller.start();
    await caller.speak(600);
    await caller.silence(700);
    // Over the agent, while the booking is under way.
    await caller.speak(900);
    await caller.silence(4_000);
    expect(caller.ofType('overlap').map(({ outcome }) => outcome)).toEqual(['interrupted']);
    expect(made).toEqual(['Monday']);
    const results = () =>
      caller.asked.messages.at(-1)!.flatMap((message) => (message.role === 'tool' ? [message.content] : []));
    // The question came before the booking was made.
    expect(results()).toEqual(['It is under way and has not finished yet.']);
    await caller.speak(600);
    await caller.silence(3_000);
    expect(results()).toEqual(['Booked for Monday.']);
    expect(caller.transcript().at(-1)).toBe('agent: It is done.');
  });

  it('that the model asks for again and again is answered without tools in the end', async () => {
    const { tool } = booking(0);
    let rounds = 0;
    const caller = createCallWithTools((each) => [tool(each.clock)], {
      script: {
        transcripts: ['Go on.'],
        answer: () => (++rounds <= 5 ? [call('book', { day: String(rounds) }, `id-${rounds}`)] : ['Enough.']),
      },
    });
    await caller.start();
    await caller.speak(600);
    await caller.silence(4_000);
    expect(spoken(caller)).toEqual(['Enough.']);
    expect(caller.ofType('tool.ran')).toHaveLength(5);
  });

  it('that is slow is covered by the hold line', async () => {
    const { tool } = booking(5_000);
    const caller = createCallWithTools((each) => [tool(each.clock)], {
      script: {
        transcripts: ['Book me Monday.'],
        answer: (messages) =>
          messages.at(-1)?.role === 'tool' ? ['Done.'] : [call('book', { day: 'Monday' })],
      },
    });
    await caller.start();
    await caller.speak(600);
    await caller.silence(9_000);
    expect(spoken(caller)).toEqual(['One moment, please.', 'Done.']);
  });

  it('that is under way when the caller hangs up is recorded, and nothing is left', async () => {
    const { tool } = booking(5_000);
    const caller = createCallWithTools((each) => [tool(each.clock)], {
      script: { transcripts: ['Book me Monday.'], answer: () => [call('book', { day: 'Monday' })] },
    });
    await caller.start();
    await caller.speak(600);
    await caller.silence(1_000);
    caller.from.hangUp();
    await caller.silence(6_000);
    expect(caller.ofType('tool.ran').map(({ run }) => run.ok)).toEqual([false]);
    expect(caller.asked.open).toBe(0);
    expect(caller.clock.pending).toBe(0);
  });
});

describe('an agent that ends the call', () => {
  const goodbye = (messages: readonly Message[]) =>
    messages.at(-1)?.role === 'tool' ? ['Goodbye then, and take care.'] : [call('hang_up')];

  it('#23 goodbye cut off: it is heard to its end, and then the line is closed', async () => {
    const caller = createCallWithTools(() => [hangUp()], {
      script: { transcripts: ['Goodbye.'], answer: goodbye },
    });
    await caller.start();
    await caller.speak(600);
    await caller.silence(500 + 28 * 50 - 100);
    expect(caller.leg.closed).toBeNull();
    await caller.silence(200);
    expect(caller.leg.closed).toBe('agent hangup');
    expect(caller.transcript().at(-1)).toBe('agent: Goodbye then, and take care.');
    expect(caller.ofType('call.ended')[0]).toMatchObject({ reason: 'agent hangup', status: 'ended' });
  });

  it('does not hang up on a caller who speaks over the goodbye', async () => {
    const caller = createCallWithTools(() => [hangUp()], {
      script: {
        transcripts: ['Goodbye.', 'Wait, one more thing.'],
        answer: (messages) =>
          messages.at(-1)?.content === 'Wait, one more thing.' ? ['Yes?'] : goodbye(messages),
      },
    });
    await caller.start();
    await caller.speak(600);
    await caller.silence(1_000);
    await caller.speak(800);
    await caller.silence(4_000);
    expect(caller.leg.closed).toBeNull();
    expect(caller.transcript().at(-1)).toBe('agent: Yes?');
  });

  it('does so also where the model has nothing more to say', async () => {
    const caller = createCallWithTools(() => [hangUp()], {
      script: {
        transcripts: ['Goodbye.'],
        answer: (messages) => (messages.at(-1)?.role === 'tool' ? [] : ['Goodbye! ', call('hang_up')]),
      },
    });
    await caller.start();
    await caller.speak(600);
    await caller.silence(3_000);
    expect(caller.leg.closed).toBe('agent hangup');
    expect(spoken(caller)).toEqual(['Goodbye!']);
  });
});

describe('a transfer', () => {
  const desk = transferCall({
    destinations: [{ name: 'desk', to: '+493012345' }],
    prefixes: [],
    ringSeconds: 30,
    failedLine: '',
  });
  const script = {
    transcripts: ['Give me a human.'],
    answer: (messages: readonly Message[]) => {
      const last = messages.at(-1);
      if (last?.role === 'tool') return ['I will connect you now.'];
      return last?.role === 'system'
        ? ['I am sorry, that did not work.']
        : [call('transfer_call', { to: 'desk' })];
    },
  };

  it('is announced first, and made when that was heard', async () => {
    const caller = createCallWithTools(() => [desk], { script });
    await caller.start();
    await caller.speak(600);
    await caller.silence(1_000);
    expect(caller.leg.actions).not.toContain('transfer +493012345');
    await caller.silence(2_000);
    expect(caller.leg.actions).toContain('transfer +493012345');
    expect(spoken(caller)).toEqual(['I will connect you now.']);
  });

  it('that the leg cannot make is told to the caller, who would wait in vain', async () => {
    const caller = createCallWithTools(() => [desk], { script });
    caller.dialect.transfer = () => false;
    await caller.start();
    await caller.speak(600);
    await caller.silence(5_000);
    expect(spoken(caller)).toEqual(['I will connect you now.', 'I am sorry, that did not work.']);
  });
});

describe('tools of a model that speaks', () => {
  it('are run, their results told, and the answer asked for', async () => {
    const { made, tool } = booking(500);
    let speech: ReturnType<typeof scriptedSpeechModel> | null = null;
    const script: Partial<SpeechModelScript> = {
      transcripts: ['Book me Monday.'],
      responses: [['One second. ', call('book', { day: 'Monday' })], ['It is booked.']],
    };
    const caller = createCallWithTools((each) => [tool(each.clock)], {
      agent: { greeting: '', silence: { ...defaultSilence, holdLine: '' } },
      scriptedSpeech: (clock) => {
        speech = scriptedSpeechModel(clock, script);
        return speech.model;
      },
    });
    await caller.start();
    await caller.speak(600);
    await caller.silence(5_000);
    expect(made).toEqual(['Monday']);
    expect(speech!.told).toEqual(['utterance 0', 'respond', 'result id-book: Booked for Monday.', 'respond']);
    expect(speech!.options?.tools?.map(({ name }) => name)).toEqual(['book']);
    expect(caller.transcript()).toEqual(['caller: Book me Monday.', 'agent: One second. It is booked.']);
  });
});
