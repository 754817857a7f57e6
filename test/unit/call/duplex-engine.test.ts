import { describe, expect, it } from 'vitest';
import { defaultInterruption } from '../../../src/call/agent-config.ts';
import type { Engine } from '../../../src/call/engine.ts';
import type { TurnRecord } from '../../../src/call/turn-record.ts';
import { ProviderError, type ToolCall } from '../../../src/providers/ports.ts';
import { createDuplexCall } from '../../support/duplex-harness.ts';

const outage = new ProviderError('openai/gpt-live-1', 'unavailable', 'down');
const long = 'We are open from Tuesday to Saturday and the workshop takes bicycles of every kind until five.';

describe('a call held by a model that listens and speaks at the same time', () => {
  it('plays what the model says, and writes down who said what', async () => {
    const call = createDuplexCall();
    call.engine.begin();
    await call.silence(500);
    await call.speak(600);
    call.model.hear(' When do you');
    call.model.hear(' open?');
    await call.silence(300);
    call.model.say('At nine.');
    await call.silence(3_000);
    expect(call.transcript()).toEqual(['caller: When do you open?', 'agent: At nine.']);
    const [caller, agent] = call.turns();
    expect(caller).toMatchObject({ position: 0, interrupted: false });
    expect(caller!.startMs).toBeGreaterThanOrEqual(300);
    expect(caller!.startMs).toBeLessThanOrEqual(500);
    expect(caller!.endMs).toBe(1_100);
    expect(agent).toMatchObject({ position: 1, interrupted: false });
    // The quiet that showed its end is no part of it.
    expect(agent!.endMs - agent!.startMs).toBeGreaterThanOrEqual(400);
    expect(agent!.endMs - agent!.startMs).toBeLessThanOrEqual(500);
    expect(call.leg.heardMs).toBe(400);
    expect(call.ofType('transcript').map(({ role, text, final }) => `${role} ${final} ${text}`)).toEqual([
      'caller false When do you',
      'caller false When do you open?',
      'caller true When do you open?',
      'agent false At nine.',
      'agent true At nine.',
    ]);
    expect(call.ofType('listening')).toHaveLength(2);
    // The model hears everything, silence too.
    expect(call.model.heardMs).toBe(4_400);
    await call.finish();
  });

  it('measures the wait from the caller’s last voice to the first audio sent', async () => {
    const call = createDuplexCall();
    call.engine.begin();
    await call.speak(600);
    call.model.hear('When?');
    await call.silence(900);
    call.model.say('At nine.');
    await call.silence(3_000);
    const [latency] = call.ofType('latency');
    expect(latency).toMatchObject({ endpointWaitMs: 500, processingMs: 0 });
    expect(latency!.totalMs).toBe(latency!.endpointWaitMs + latency!.providerMs);
    expect(latency!.totalMs).toBeGreaterThan(800);
    expect(latency!.totalMs).toBeLessThan(1_100);
    expect(call.turns()[1]?.latency).toMatchObject({
      totalMs: latency!.totalMs,
      providers: ['scripted/duplex'],
    });
    await call.finish();
  });

  it('an answer before the end-of-turn silence is all endpoint wait', async () => {
    const call = createDuplexCall();
    call.engine.begin();
    await call.speak(600);
    call.model.hear('When?');
    await call.silence(200);
    call.model.say('At nine.');
    await call.silence(3_000);
    const [latency] = call.ofType('latency');
    expect(latency!.providerMs).toBe(0);
    expect(latency!.endpointWaitMs).toBe(latency!.totalMs);
    expect(latency!.totalMs).toBeLessThan(500);
    expect(call.transcript()).toEqual(['caller: When?', 'agent: At nine.']);
    await call.finish();
  });

  it('what nobody asked for has no latency', async () => {
    const call = createDuplexCall();
    call.engine.begin();
    await call.silence(500);
    call.model.say('Hello, this is the workshop.');
    await call.silence(4_000);
    expect(call.ofType('latency')).toEqual([]);
    expect(call.transcript()).toEqual(['agent: Hello, this is the workshop.']);
    await call.finish();
  });

  it('words that come after the answer has begun belong to the turn before it', async () => {
    const call = createDuplexCall();
    call.engine.begin();
    await call.speak(600);
    await call.silence(200);
    call.model.hear('When do');
    call.model.say('At nine, as always.');
    await call.silence(400);
    call.model.hear(' you open?');
    await call.silence(4_000);
    expect(call.transcript()).toEqual(['caller: When do you open?', 'agent: At nine, as always.']);
    await call.finish();
  });

  it('a caller’s turn that nobody answers is written down after the silence', async () => {
    const call = createDuplexCall();
    call.engine.begin();
    await call.speak(600);
    call.model.hear('Hold on.');
    await call.silence(1_400);
    expect(call.transcript()).toEqual([]);
    await call.silence(200);
    expect(call.transcript()).toEqual(['caller: Hold on.']);
    expect(call.ofType('listening')).toHaveLength(2);
    await call.finish();
  });

  it('pauses of the model are kept in one turn; a long one begins the next', async () => {
    const call = createDuplexCall();
    call.engine.begin();
    await call.silence(300);
    call.model.say('One.');
    call.model.rest(500);
    call.model.say(' Two.');
    call.model.rest(1_500);
    call.model.say(' Three.');
    await call.silence(5_000);
    expect(call.transcript()).toEqual(['agent: One. Two.', 'agent: Three.']);
    await call.finish();
  });

  it('tells at any time what was heard of its speech so far, and nothing once that is in the record', async () => {
    const call = createDuplexCall();
    call.engine.begin();
    await call.silence(300);
    expect(call.engine.heardOfSpeech).toBeNull();
    call.model.say('We are open from Tuesday to Saturday until five.');
    await call.silence(1_500);
    const heard = call.engine.heardOfSpeech!;
    expect('We are open from Tuesday to Saturday until five.'.startsWith(heard.text)).toBe(true);
    expect(heard.text.length).toBeGreaterThan(10);
    expect(heard.until - heard.from).toBeGreaterThan(800);
    await call.silence(4_000);
    expect(call.transcript()).toEqual(['agent: We are open from Tuesday to Saturday until five.']);
    expect(call.engine.heardOfSpeech).toBeNull();
    await call.finish();
  });

  it('a murmur of the model while the caller speaks is heard, and takes the turn from nobody', async () => {
    const call = createDuplexCall();
    call.engine.begin();
    await call.speak(600);
    call.model.hear('I have a bicycle');
    call.model.say('Mhm.');
    await call.speak(2_000);
    call.model.hear(' with a flat tyre.');
    await call.silence(300);
    call.model.say('Bring it in.');
    await call.silence(4_000);
    expect(call.transcript()).toEqual([
      'agent: Mhm.',
      'caller: I have a bicycle with a flat tyre.',
      'agent: Bring it in.',
    ]);
    expect(call.leg.actions).toEqual([]);
    expect(call.ofType('latency')).toHaveLength(1);
    await call.finish();
  });

  describe('the caller speaks over the agent', () => {
    const interrupted = async (words = ' Stop, please.') => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.speak(600);
      call.model.hear('When?');
      await call.silence(300);
      call.model.say(long);
      await call.silence(2_000);
      await call.speak(400);
      call.model.yield();
      call.model.hear(words);
      await call.speak(200);
      await call.silence(300);
      return call;
    };

    it('silences it at once, before a word is understood', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.say(long);
      await call.silence(2_000);
      const heard = call.leg.heardMs;
      await call.speak(140);
      expect(call.leg.actions).toEqual(['clear']);
      const sent = call.leg.said.length;
      await call.speak(400);
      expect(call.leg.said).toHaveLength(sent);
      expect(call.leg.heardMs - heard).toBeLessThanOrEqual(240);
      await call.finish();
    });

    it('record and model know what was heard, by the place of each word', async () => {
      const call = await interrupted();
      expect(call.ofType('overlap')).toEqual([
        { type: 'overlap', outcome: 'interrupted', because: 'speech', text: 'Stop, please.' },
      ]);
      call.model.say('Fine.');
      await call.silence(3_000);
      const [first, cut, ...rest] = call.transcript();
      expect(first).toBe('caller: When?');
      const heard = cut!.replace('agent: ', '');
      expect(long.startsWith(heard)).toBe(true);
      expect(long[heard.length]).toBe(' ');
      // It speaks 20 characters a second.
      const turn = call.turns()[1]!;
      expect(turn.interrupted).toBe(true);
      expect(heard.length).toBeLessThanOrEqual((turn.endMs - turn.startMs) / 50);
      expect(heard.length).toBeGreaterThan((turn.endMs - turn.startMs) / 50 - 12);
      expect(rest).toEqual(['caller: Stop, please.', 'agent: Fine.']);
      expect(call.model.told).toContain(
        `note Internal note: the caller interrupted you, and of what you last said heard only: "${heard}"`,
      );
      await call.finish();
    });

    it('nothing more of that speech is heard, though the model goes on for a while', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.say(long);
      await call.silence(2_000);
      await call.speak(400);
      call.model.hear(' Stop, please.');
      const heard = call.leg.heardMs;
      await call.speak(600);
      call.model.yield();
      await call.silence(400);
      expect(call.leg.heardMs).toBeLessThan(heard + 20);
      call.model.say('Fine.');
      await call.silence(3_000);
      expect(call.leg.heardMs - heard).toBeGreaterThanOrEqual(250);
      expect(call.transcript().at(-1)).toBe('agent: Fine.');
      await call.finish();
    });

    it('goes on after a backchannel without losing a word', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.say(long);
      await call.silence(2_000);
      await call.speak(300);
      call.model.hear(' Uh');
      call.model.hear('-huh.');
      await call.silence(8_000);
      expect(call.ofType('overlap')).toEqual([
        { type: 'overlap', outcome: 'resumed', because: 'backchannel', text: 'Uh-huh.' },
      ]);
      expect(call.transcript()).toContain(`agent: ${long}`);
      expect(call.leg.heardMs).toBe(long.length * 50);
      expect(call.model.told.filter((line) => line.includes('interrupted'))).toEqual([]);
      await call.finish();
    });

    it('a word that is still being written does not interrupt', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.say(long);
      await call.silence(1_000);
      await call.speak(300);
      call.model.hear(' o');
      await call.speak(40);
      expect(call.ofType('overlap')).toEqual([]);
      call.model.hear('kay.');
      await call.silence(1_000);
      expect(call.ofType('overlap').map(({ because }) => because)).toEqual(['backchannel']);
      await call.finish();
    });

    it('goes on after a noise', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.say(long);
      await call.silence(1_000);
      await call.speak(200);
      await call.silence(9_000);
      expect(call.ofType('overlap').map(({ because }) => because)).toEqual(['nothing']);
      expect(call.transcript()).toEqual([`agent: ${long}`]);
      await call.finish();
    });

    it('its own words, come back, are nobody’s', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.say(long);
      await call.silence(1_000);
      await call.speak(400);
      call.model.hear(' we are open from');
      await call.silence(9_000);
      expect(call.ofType('overlap').map(({ because }) => because)).toEqual(['echo']);
      expect(call.transcript()).toEqual([`agent: ${long}`]);
      await call.finish();
    });

    it('a sound that goes on and on without a word silences nobody', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.say(long);
      await call.silence(1_000);
      await call.speak(9_000);
      expect(call.ofType('overlap').map(({ outcome }) => outcome)).toEqual(['resumed']);
      expect(call.transcript()).toEqual([`agent: ${long}`]);
      await call.finish();
    });

    it('after its last voice, it is interrupted by nobody', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.say('At nine.');
      await call.silence(900);
      await call.speak(400);
      call.model.hear(' Thank you.');
      await call.silence(3_000);
      expect(call.ofType('overlap')).toEqual([]);
      expect(call.turns().map(({ text, interrupted }) => ({ text, interrupted }))).toEqual([
        { text: 'At nine.', interrupted: false },
        { text: 'Thank you.', interrupted: false },
      ]);
      await call.finish();
    });

    it('a key interrupts at once', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.say(long);
      await call.silence(1_000);
      call.engine.dtmf('1');
      call.engine.dtmf('#');
      await call.silence(100);
      expect(call.ofType('overlap').map(({ text }) => text)).toEqual(['1']);
      expect(call.transcript()[0]).toMatch(/^agent: We are/);
      expect(call.transcript()[1]).toBe('caller: Keys pressed: 1');
      await call.finish();
    });
  });

  it('keys are a turn of the caller’s, and the model is told to answer', async () => {
    const call = createDuplexCall();
    call.engine.begin();
    await call.silence(300);
    for (const key of '12#') call.engine.dtmf(key);
    await call.silence(100);
    expect(call.model.told.at(-1)).toMatch(/^instruct .*Keys pressed: 1 2\./);
    call.model.say('Thank you.');
    await call.silence(3_000);
    expect(call.transcript()).toEqual(['caller: Keys pressed: 1 2', 'agent: Thank you.']);
    expect(call.ofType('latency')).toHaveLength(1);
    await call.finish();
  });

  describe('fixed lines', () => {
    it('the greeting is said word for word, before the model is there, and the model knows it', async () => {
      const call = createDuplexCall({ agent: { greeting: 'Hello there.' }, beginMs: 2_000 });
      call.engine.begin();
      await call.silence(300);
      expect(call.leg.said.length).toBeGreaterThan(0);
      await call.silence(2_000);
      expect(call.transcript()).toEqual(['agent: Hello there.']);
      expect(call.model.sessions[0]?.instructions).toContain('"Hello there."');
      expect(call.model.told).toContain(
        'note Internal note: the caller has just heard you say: "Hello there."',
      );
      expect(call.ofType('latency')).toEqual([]);
      await call.finish();
    });

    it('the notice of the recording comes before the greeting, and cannot be interrupted', async () => {
      const call = createDuplexCall({
        agent: { greeting: 'Hello there.', recordingNotice: 'This call is recorded.' },
      });
      call.engine.begin();
      await call.speak(600);
      await call.silence(1_500);
      expect(call.leg.actions).toEqual([]);
      expect(call.transcript()[0]).toBe('agent: This call is recorded.');
      expect(call.model.sessions[0]?.instructions).toContain('"This call is recorded. Hello there."');
      await call.silence(2_000);
      expect(call.transcript().at(-1)).toBe('agent: Hello there.');
      // Written down sentence by sentence, and once each: so much of it can be said again.
      const sentences = call.ofType('agent.sentence').map((event) => event.state);
      expect(sentences.filter((state) => state === 'planned')).toHaveLength(2);
      expect(sentences.filter((state) => state === 'heard')).toHaveLength(2);
      expect(sentences.at(-1)).toBe('over');
      await call.finish();
    });

    it('one that may not be interrupted is heard to its end, and what the model said meanwhile after it', async () => {
      const call = createDuplexCall({
        agent: { greeting: long, interruption: { ...defaultInterruption, greeting: false } },
      });
      call.engine.begin();
      await call.silence(1_000);
      await call.speak(600);
      call.model.hear('Hello?');
      await call.silence(200);
      call.model.say('Yes?');
      await call.silence(8_000);
      expect(call.leg.actions).toEqual([]);
      expect(call.transcript()).toEqual(['caller: Hello?', `agent: ${long}`, 'agent: Yes?']);
      await call.finish();
    });

    it('a silent caller is asked, and left', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(11_500);
      expect(call.asked.spoken[0]).toBe('Are you still there?');
      expect(call.model.told.at(-1)).toContain('Are you still there?');
      await call.silence(26_000);
      expect(call.leg.actions).toEqual(['hang up: caller silent']);
      await call.finish();
    });

    it('a caller who answers the question stays, whatever the word', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(10_300);
      await call.speak(300);
      call.model.hear(' yes');
      await call.silence(3_000);
      expect(call.ofType('overlap').map(({ outcome }) => outcome)).toEqual(['interrupted']);
      expect(call.transcript().at(-1)).toBe('caller: yes');
      await call.silence(9_000);
      expect(call.leg.actions.filter((action) => action.startsWith('hang up'))).toEqual([]);
      await call.finish();
    });
  });

  describe('what the model delegates', () => {
    const booking: ToolCall = { id: 'call_1', name: 'book', arguments: '{"day":"Friday"}' };

    it('is done by the call’s language model with its tools, and told the model', async () => {
      const runs: ToolCall[] = [];
      const call = createDuplexCall({
        script: { answer: () => ['Friday at nine is yours. See you then, with the bicycle and its key.'] },
        engine: {
          createTools: () => ({
            definitions: [{ name: 'book', description: 'Books a day.', parameters: { type: 'object' } }],
            run: async (toolCall) => {
              runs.push(toolCall);
              return { content: 'booked', ok: true };
            },
            close: () => {},
          }),
        },
      });
      const { languageModel } = call.providers;
      let round = 0;
      call.providers.languageModel = languageModel;
      const reply = languageModel.reply.bind(languageModel);
      languageModel.reply = async function* (request, signal) {
        if (round++ === 0) {
          yield { type: 'toolCall', call: booking };
          yield { type: 'finished' };
        } else yield* reply(request, signal);
      };
      call.engine.begin();
      expect(call.model.sessions[0]?.instructions).toContain('- book: Books a day.');
      await call.speak(600);
      call.model.hear('Book me in on Friday.');
      call.model.emit({ type: 'delegated', delegation: 'item_1' });
      await call.silence(500);
      expect(runs).toEqual([booking]);
      expect(call.asked.messages[0]?.[0]).toMatchObject({ role: 'system' });
      expect(call.asked.messages[0]).toContainEqual({ role: 'user', content: 'Book me in on Friday.' });
      expect(call.asked.messages[0]?.at(-1)).toEqual({
        role: 'tool',
        toolCallId: 'call_1',
        content: 'booked',
      });
      const answers = call.model.told.filter((line) => line.startsWith('answer item_1: '));
      expect(answers.map((line) => line.slice('answer item_1: '.length)).join(' ')).toBe(
        'Friday at nine is yours. See you then, with the bicycle and its key.',
      );
      await call.finish();
    });

    it('a hang-up waits for the goodbye, and comes to nothing if that is interrupted', async () => {
      const hangUps: number[] = [];
      const create = () => {
        const call = createDuplexCall({
          engine: {
            actions: {
              hangUp: () => hangUps.push(call.clock.now() - call.startTime),
              transfer: () => false,
              pressDigits: () => false,
            },
            createTools: () => ({
              definitions: [
                { name: 'hang_up', description: 'Ends the call.', parameters: { type: 'object' } },
              ],
              run: async () => ({
                content: 'after the goodbye',
                ok: true,
                afterwards: { act: 'hangUp' },
              }),
              close: () => {},
            }),
          },
        });
        let round = 0;
        const { languageModel } = call.providers;
        languageModel.reply = async function* () {
          if (round++ === 0) {
            yield { type: 'toolCall', call: { id: 'c', name: 'hang_up', arguments: '{}' } };
          } else yield { type: 'text', text: 'Say goodbye.' };
          yield { type: 'finished' };
        };
        call.engine.begin();
        return call;
      };
      const call = create();
      await call.silence(300);
      call.model.say('One moment.');
      await call.silence(100);
      call.model.emit({ type: 'delegated', delegation: 'item_1' });
      await call.silence(2_500);
      expect(hangUps).toEqual([]);
      call.model.say('Goodbye then.');
      await call.silence(700);
      expect(hangUps).toEqual([]);
      await call.silence(1_500);
      expect(hangUps).toHaveLength(1);
      await call.finish();
      const other = create();
      await other.silence(300);
      other.model.emit({ type: 'delegated', delegation: 'item_1' });
      await other.silence(300);
      other.model.say(long);
      await other.silence(1_000);
      await other.speak(300);
      other.model.yield();
      other.model.hear(' Wait, one more thing.');
      await other.silence(20_000);
      expect(hangUps).toHaveLength(1);
      await other.finish();
    });

    it('a failure is told the model, and the record', async () => {
      const call = createDuplexCall({ script: { answer: () => [outage] } });
      call.engine.begin();
      await call.silence(300);
      call.model.emit({ type: 'delegated', delegation: 'item_1' });
      await call.silence(100);
      expect(call.model.told.at(-1)).toMatch(/^answer item_1: This could not be done/);
      expect(call.ofType('failure').map(({ code }) => code)).toEqual(['PROVIDER_UNAVAILABLE']);
      await call.finish();
    });

    it('a result that is late is bridged by the hold line, and given up in the end', async () => {
      const call = createDuplexCall({ script: { firstTokenMs: 600_000 } });
      call.engine.begin();
      await call.speak(600);
      call.model.hear('What is it?');
      call.model.emit({ type: 'delegated', delegation: 'item_1' });
      await call.silence(3_500);
      expect(call.asked.spoken.filter((line) => line === 'One moment, please.')).toHaveLength(1);
      await call.silence(45_000);
      expect(call.model.told.at(-1)).toMatch(/^answer item_1: This could not be done|^note/);
      expect(call.model.told.some((line) => line.startsWith('answer item_1: This could not'))).toBe(true);
      expect(call.asked.open).toBe(0);
      await call.finish();
    });

    it('a model that delegates in a loop is held to three at once', async () => {
      const call = createDuplexCall({ script: { firstTokenMs: 1_000 } });
      call.engine.begin();
      await call.silence(300);
      for (let i = 0; i < 5; i++) call.model.emit({ type: 'delegated', delegation: `item_${i}` });
      await call.silence(100);
      expect(call.asked.messages).toHaveLength(3);
      expect(call.model.told.filter((line) => line.includes('still being worked on'))).toHaveLength(2);
      await call.finish();
    });
  });

  describe('a session is lost', () => {
    it('what it was saying is written down, and the next one is told to go on', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.speak(600);
      call.model.hear('When?');
      await call.silence(300);
      call.model.say(long);
      await call.silence(1_000);
      call.model.lose(outage);
      await call.silence(1_500);
      const cut = call.transcript()[1]!.replace('agent: ', '');
      expect(long.startsWith(cut.slice(0, 10))).toBe(true);
      call.model.begin();
      await call.silence(100);
      expect(call.model.told.at(-1)).toMatch(/^instruct The connection was broken/);
      expect(call.model.sessions[0]?.history()).toEqual([
        { role: 'system', content: '' },
        { role: 'user', content: 'When?' },
        { role: 'assistant', content: cut },
      ]);
      expect(call.ofType('failure')).toHaveLength(1);
      call.model.say('As I said, at nine.');
      await call.silence(3_000);
      expect(call.transcript().at(-1)).toBe('agent: As I said, at nine.');
      await call.finish();
    });

    it('the caller hears the hold line while there is none', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.lose(outage);
      await call.speak(600);
      await call.silence(3_000);
      expect(call.asked.spoken[0]).toBe('One moment, please.');
      await call.finish();
    });

    it('for good: the caller hears the apology, and the call ends', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.say(long);
      await call.silence(500);
      call.model.fail(outage);
      await call.silence(200);
      expect(call.asked.spoken).toContain('Sorry about that.');
      expect(call.leg.actions.filter((action) => action.startsWith('hang up'))).toEqual([]);
      await call.silence(1_500);
      expect(call.leg.actions.at(-1)).toBe('hang up: error');
      expect(call.transcript().at(-1)).toBe('agent: Sorry about that.');
      await call.finish();
    });

    it('for good: another engine goes on with the same record', async () => {
      const did: string[] = [];
      let record: TurnRecord | null = null;
      const other: Engine = {
        heardOfSpeech: null,
        begin: () => did.push('begin'),
        recall: () => did.push('recall'),
        audio: (samples, position) => did.push(`audio ${samples.length} at ${position}`),
        dtmf: (digit) => did.push(`dtmf ${digit}`),
        interrupt: () => did.push('interrupt'),
        transferFailed: () => did.push('transfer failed'),
        hush: () => did.push('hush'),
        unhush: () => did.push('unhush'),
        leave: (text) => did.push(`leave ${text}`),
        suspend: () => did.push('suspend'),
        resume: () => did.push('resume'),
        finish: async () => {
          did.push('finish');
        },
      };
      const call = createDuplexCall({
        engine: {
          fallback: (given) => {
            record = given;
            return other;
          },
        },
      });
      call.engine.begin();
      await call.speak(600);
      call.model.hear('When?');
      await call.silence(100);
      call.model.fail(outage);
      await call.silence(20);
      call.engine.dtmf('5');
      expect(did).toEqual(['begin', 'audio 160 at 5600', 'dtmf 5']);
      expect(call.transcript()).toEqual(['caller: When?']);
      expect(record!.messages('p', 10)).toEqual([
        { role: 'system', content: 'p' },
        { role: 'user', content: 'When?' },
      ]);
      expect(call.detector.open).toBe(false);
      expect(call.model.open).toBe(0);
      await call.finish();
      expect(did.at(-1)).toBe('finish');
      expect(call.clock.pending).toBe(0);
    });

    it('a refused command is no loss', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.emit({ type: 'refused', error: outage });
      call.model.say('At nine.');
      await call.silence(2_000);
      expect(call.ofType('failure')).toHaveLength(1);
      expect(call.transcript()).toEqual(['agent: At nine.']);
      await call.finish();
    });
  });

  describe('the line of the leg is down', () => {
    it('nothing is lost of what the agent says, and nobody is asked whether he is there', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.silence(300);
      call.model.say(long);
      await call.silence(1_000);
      const sent = call.leg.said.length;
      call.engine.suspend();
      await call.clock.advance(15_000);
      expect(call.leg.said).toHaveLength(sent);
      expect(call.asked.spoken.filter((line) => line.startsWith('Are you'))).toEqual([]);
      call.engine.resume();
      await call.silence(6_000);
      expect(call.transcript()).toEqual([`agent: ${long}`]);
      expect(call.ofType('overlap')).toEqual([]);
      await call.finish();
    });

    it('a call whose object lost its memory goes on from the record', async () => {
      const call = createDuplexCall({ beginMs: 500 });
      const turn = { position: 0, startMs: 0, endMs: 600, interrupted: false, latency: null };
      call.engine.recall({
        call: {
          callId: 'call-1',
          userId: 'user-1',
          campaignId: null,
          phoneNumber: null,
          startTime: call.startTime,
          metadata: {},
          sampleRate: 8000,
          recording: true,
          chunkSamples: 16_000,
        },
        history: [{ turn: { ...turn, role: 'caller', text: 'When do you open?' } }],
        heard: [{ text: 'At nine.', from: call.startTime + 1_000, until: call.startTime + 1_500 }],
        written: true,
        owed: null,
        transfers: { pending: null, untold: null, tried: 0 },
        unheard: ['Or at ten.'],
        keys: '',
        language: null,
        acts: [{ act: 'hangUp' }],
        counts: null,
        nextTurn: 0,
        spooledSamples: 16_000,
        callerAudio: function* (fromSample) {
          yield { samples: new Int16Array(1_600).fill(1_000), position: fromSample };
        },
        lostAt: call.startTime,
      });
      await call.clock.advance(2_000);
      expect(call.leg.said).toEqual([]);
      expect(call.model.sessions[0]?.history()).toEqual([
        { role: 'system', content: '' },
        { role: 'user', content: 'When do you open?' },
        { role: 'assistant', content: 'At nine.' },
      ]);
      expect(call.model.heardMs).toBe(200);
      expect(call.model.told).toEqual([]);
      call.engine.resume();
      expect(call.model.told[0]).toMatch(/^instruct The connection was broken/);
      await call.silence(2_000);
      expect(call.transcript()).toEqual(['agent: At nine.', 'agent: Or at ten.']);
      expect(call.turns()[1]?.position).toBe(2);
      // What the object before it has promised follows what the model says next.
      expect(call.leg.actions).not.toContain('hang up');
      call.model.say('Goodbye.');
      await call.silence(3_000);
      expect(call.leg.actions.filter((action) => action === 'hang up')).toHaveLength(1);
      expect(call.ofType('agent.acts').at(-1)?.acts).toEqual([]);
      await call.finish();
    });

    it('ends what the caller was saying', async () => {
      const call = createDuplexCall();
      call.engine.begin();
      await call.speak(600);
      call.model.hear('My name is');
      await call.clock.advance(0);
      call.engine.suspend();
      await call.clock.advance(1_000);
      expect(call.transcript()).toEqual(['caller: My name is']);
      call.engine.resume();
      expect(call.ofType('listening')).toHaveLength(2);
      await call.finish();
    });
  });

  describe('the end of the call', () => {
    it('writes down what was heard and what was said, and leaves nothing behind', async () => {
      const call = createDuplexCall({ script: { firstTokenMs: 600_000 } });
      call.engine.begin();
      await call.silence(300);
      call.model.say(long);
      call.model.emit({ type: 'delegated', delegation: 'item_1' });
      await call.silence(1_500);
      call.engine.dtmf('7');
      await call.speak(600);
      call.model.hear(' Never mind');
      await call.clock.advance(0);
      await call.finish();
      expect(call.transcript()[0]).toMatch(/^agent: We are open/);
      expect(call.transcript().slice(1).sort()).toEqual(['caller: Keys pressed: 7', 'caller: Never mind']);
      expect(call.clock.pending).toBe(0);
      expect(call.model.open).toBe(0);
      expect(call.asked.open).toBe(0);
      expect(call.detector.open).toBe(false);
      call.engine.audio(new Int16Array(160), 0, call.clock.now());
      call.engine.dtmf('1');
      await call.clock.advance(10_000);
      expect(call.clock.pending).toBe(0);
    });

    it('waits for the last words, but not for ever', async () => {
      const call = createDuplexCall();
      const { duplex } = call.model;
      const open = duplex.open.bind(duplex);
      duplex.open = (options) => ({ ...open(options), end: () => {} });
      call.engine.begin();
      await call.silence(300);
      await call.speak(400);
      const finished = call.engine.finish(30_000);
      await call.clock.advance(1_000);
      call.model.hear(' Goodbye.');
      await call.clock.advance(28_000);
      expect(call.transcript()).toEqual([]);
      await call.clock.advance(1_000);
      await finished;
      expect(call.transcript()).toEqual(['caller: Goodbye.']);
      call.playout.close();
      expect(call.clock.pending).toBe(0);
    });
  });
});
