import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { spokenKeys } from '../../src/call/dtmf.ts';
import { voicedSpan, wavToSamples } from '../../tools/caller/audio.ts';
import { humanClips } from '../support/human-clips.ts';
import { at, type CallRow, hasTransfers, type RecordedTurn } from '../support/laptop.ts';
import { startModelWithTools } from '../support/model-with-tool.ts';
import { OtlpCollector } from '../support/otlp-collector.ts';
import { callerNumber, type PhoneCall } from '../support/sip/phone.ts';
import { called, Telephony } from '../support/telephony.ts';
import { bestPrefix, pooledWordErrors, wordErrors } from '../support/word-errors.ts';

/**
 * Telephone calls from end to end: SIP and RTP of a telephone, the real Kamailio on the shipped configuration, a media node on the shipped
 * configuration (the double, or with `FREESWITCH_BIN` a real FreeSWITCH), the service as `npm start` runs it, with the node's token.
 */
const stop = new AbortController();
let telephony: Telephony;
let model: Awaited<ReturnType<typeof startModelWithTools>>;
let collector: OtlpCollector;

beforeAll(async () => {
  // A caller who says nothing is asked, and hung up upon, sooner than by default.
  collector = await OtlpCollector.start();
  const lines = {
    SILENCE_PROMPT_MS: '9000',
    SILENCE_HANGUP_MS: '3000',
    AGENT_GOODBYE: goodbye,
    // A busy machine is late; what is said then is no part of these conversations.
    AGENT_HOLD_LINE: '',
  };
  model = await startModelWithTools([
    { heard: /workshop|work shop/i, name: 'transfer_call', args: { to: 'workshop' }, says: puttingThrough },
    { heard: /office/i, name: 'transfer_call', args: { to: 'office' }, says: puttingThrough },
  ]);
  const destinations = Object.entries(colleagues).map(([name, to]) => ({ name, to }));
  const transfer = { destinations, ringSeconds: 8, failedLine };
  const dialling = {
    DIAL_ALLOWED: '+4930',
    NUMBERS: JSON.stringify({ [called.number]: { userId: called.userId } }),
  };
  const settings = {
    ...lines,
    ...dialling,
    LLM_BASE_URL: model.url,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    AGENT_TOOLS: JSON.stringify({ transfer }),
  };
  telephony = await Telephony.start({ signal: stop.signal, settings });
  model.passTo(telephony.laptop.enginesUrl);
  console.log(`media node: ${telephony.node.kind}`);
});

afterAll(async () => {
  stop.abort();
  await telephony?.close();
  model?.close();
  await collector?.close();
});

/** After so long without a sound the agent's turn is over: between two sentences it is silent for less, also on a busy machine. */
const turnEndMs = 2_500;
/** Within a sentence it is silent for less. */
const fallsSilentMs = 700;

const greeting = 'Harbour Cycles, hello. How can I help you?';
const longQuestion = 'Can you adjust my brakes?';
const longAnswer =
  'Adjusting the brakes is fifteen pounds. New brake pads, fitted, are eighteen pounds a wheel.';
const parkingQuestion = 'Could you tell me where to leave my car?';
const parkingAnswer = 'There is a car park behind the shop. The first half hour is free for customers.';
const goodbye = 'I will end the call now. Have a nice day.';
/** Whom the agent may connect a caller to. */
const colleagues = { workshop: '+4930111111', office: '+4930111112' };
const puttingThrough = 'I am putting you through.';
const failedLine = 'Nobody answers there. I am back.';
/** `hold_line` of node.xml. */
const holdToneHz = 425;

interface Placed {
  call: PhoneCall;
  callId: string;
}

/** A call that was answered, and its greeting heard. */
async function place(proxy = telephony.proxy): Promise<Placed> {
  const phone = await telephony.phone(proxy);
  const call = await phone.call(proxy, called.number);
  const callId = await telephony.callIdOf(call);
  await call.sound();
  await call.quiet(turnEndMs);
  return { call, callId };
}

/** What the agent says next, from its first sound to its last, in the call's milliseconds. */
async function reply(call: PhoneCall): Promise<{ from: number; to: number }> {
  const from = await call.sound();
  return { from, to: await call.quiet(turnEndMs) };
}

async function recognised(call: PhoneCall, from: number, to: number): Promise<string> {
  return telephony.laptop.recognise(call.heard(from - 100, to + 100));
}

async function human(name: string): Promise<{ reference: string; samples: Int16Array }> {
  const clip = humanClips().find((each) => each.name === name);
  if (clip === undefined) throw new Error(`no recording ${name}`);
  return { reference: clip.reference, samples: wavToSamples(await readFile(clip.path), 8000) };
}

async function hangUp({ call, callId }: Placed, complete?: (row: CallRow) => boolean): Promise<CallRow> {
  expect(await call.hangUp()).toBe(200);
  return endedRow(callId, complete);
}

/** The row of a call that is over, once the node has told how it ended. */
async function endedRow(callId: string, complete = (_row: CallRow) => true): Promise<CallRow> {
  await telephony.node.line(new RegExp(`event=call\\.ended call=${callId} `));
  return telephony.laptop.rowOf(callId, (row) => row.hangup !== null && complete(row));
}

/** The call's one id, from the proxy's lines to the collector's spans. Answers with the names of the latter. */
async function followed(callId: string, row: CallRow): Promise<string[]> {
  const [, atTheProxy] = /^(.{36})-\d+$/.exec(callId) ?? [];
  await telephony.proxy.line(new RegExp(`event=call\\.answered call=${atTheProxy} `));
  await telephony.node.line(new RegExp(`event=call\\.answered call=${callId} `));
  const traceId = atTheProxy?.replaceAll('-', '');
  expect(row.metadata).toMatchObject({ traceId });
  return await vi.waitFor(
    () => {
      const names = collector.spans.filter((span) => span.traceId === traceId).map(({ name }) => name);
      expect(names).toContain('call');
      return names;
    },
    { timeout: 15_000, interval: 100 },
  );
}

function turns({ transcript }: CallRow, role: RecordedTurn['role']): RecordedTurn[] {
  return transcript.filter((turn) => turn.role === role);
}

describe.concurrent('a telephone call', () => {
  it('is heard and understood on both sides, and recorded to the end, when the caller hangs up', async () => {
    const clips = await Promise.all(['librivox-0880', 'librivox-0930'].map(human));
    const placed = await place();
    const { call } = placed;
    const replies: { from: number; to: number }[] = [];
    for (const { samples } of clips) {
      await call.say(samples);
      replies.push(await reply(call));
    }
    const heardMs = call.nowMs;
    const row = await hangUp(placed);

    expect(row).toMatchObject({
      user_id: called.userId,
      campaign_id: called.campaignId,
      phone_number: callerNumber,
      status: 'ended',
      end_reason: 'hangup',
      hangup: { cause: 'NORMAL_CLEARING', q850: 16, by: 'recv_bye' },
      metadata: {
        to: called.number,
        carrier: { dialect: 'freeswitch' },
        sip: { callId: call.sipCallId, trunk: 'carrier-a', node: telephony.entry.name },
      },
      counts: { resumes: 0, failures: 0 },
    });
    // The caller's words, as people have said them.
    expect(row.transcript.map(({ role }) => role)).toEqual(['agent', 'caller', 'agent', 'caller', 'agent']);
    const said = turns(row, 'caller').map(({ text }, i) => wordErrors(clips[i]?.reference ?? '', text));
    expect(pooledWordErrors(said).rate).toBeLessThanOrEqual(0.25);
    // The agent's, as the telephone has played them.
    const answers = turns(row, 'agent');
    expect(answers[0]?.text).toBe(greeting);
    const heard = await Promise.all(replies.map(({ from, to }) => recognised(call, from, to)));
    const errors = heard.map((text, i) => wordErrors(answers[i + 1]?.text ?? '', text));
    console.log(`heard ${JSON.stringify(heard)}, said ${JSON.stringify(answers.map(({ text }) => text))}`);
    expect(pooledWordErrors(errors).rate).toBeLessThanOrEqual(0.34);
    expect(call.reception.lost).toBe(0);

    const spans = await followed(placed.callId, row);
    expect(spans.filter((name) => name === 'turn')).toHaveLength(answers.length);
    expect(spans.filter((name) => name === 'endpointing')).toHaveLength(clips.length);

    // The recording: as long as the call, and both are in it.
    const recording = await telephony.laptop.recordingOf(row.recording as string);
    const recordedMs = recording.length / 8;
    const lastedMs = Number(row.duration_seconds) * 1_000;
    console.log(`recorded ${recordedMs} ms of ${lastedMs}, ${heardMs} on the line`);
    expect(recordedMs).toBeGreaterThanOrEqual(lastedMs - 100);
    // Or as long as its audio, where a busy machine took the first of it late and together.
    expect(recordedMs).toBeLessThanOrEqual(Math.max(lastedMs, heardMs) + 100);
    const inRecording = await Promise.all(
      row.transcript.slice(1).map(async ({ text, startMs, endMs }) => {
        const part = recording.subarray(at(Math.max(0, startMs - 200)), at(endMs + 200));
        return wordErrors(text, await telephony.laptop.recognise(part));
      }),
    );
    expect(pooledWordErrors(inRecording).rate).toBeLessThanOrEqual(0.34);
  });

  it('falls silent when the caller speaks over the agent, and remembers what was heard', async () => {
    const question = await telephony.laptop.speech(longQuestion);
    const { samples } = await human('librivox-0890');
    const placed = await place();
    const { call } = placed;
    await call.say(question);
    const from = await call.sound();
    // In the middle of the second of two sentences.
    await call.until(() => call.heardMs >= from + 3_500, 'the answer');
    const spoken = call.say(samples);
    const to = await call.quiet(fallsSilentMs);
    const silentAtMs = call.nowMs;
    await spoken;
    // He was still speaking.
    expect(silentAtMs).toBeLessThan(call.nowMs);
    await reply(call);
    const row = await hangUp(placed);

    const [, cut, next] = turns(row, 'agent');
    expect(row.counts).toMatchObject({ interruptions: 1 });
    expect(cut).toMatchObject({ interrupted: true });
    expect(longAnswer.startsWith(cut?.text ?? '-')).toBe(true);
    expect(cut?.text).not.toBe(longAnswer);
    expect(next).toMatchObject({ interrupted: false });
    const heard = await recognised(call, from, to);
    console.log(`heard ${JSON.stringify(heard)}, recorded ${JSON.stringify(cut?.text)}`);
    const best = bestPrefix(longAnswer, heard);
    expect(best.errors).toBeLessThanOrEqual(2);
    expect(Math.abs(best.words - (cut?.text.split(' ').length ?? 0))).toBeLessThanOrEqual(2);
  });

  it('takes the keys that the caller presses', async () => {
    const placed = await place();
    placed.call.press('4711#');
    await reply(placed.call);
    const row = await hangUp(placed);
    expect(row.transcript.map(({ role }) => role)).toEqual(['agent', 'caller', 'agent']);
    expect(row.transcript[1]?.text).toBe(spokenKeys('4711'));
  });

  it('is hung up by the agent once its goodbye was heard whole', async () => {
    const { call, callId } = await place();
    await reply(call);
    const from = await call.sound();
    const bye = await call.ended();
    expect(bye.first('Reason')).toMatch(/^Q\.850;cause=16;/);
    await telephony.node.line(
      new RegExp(`event=call\\.released call=${callId} cause=NORMAL_CLEARING why=hangup`),
    );
    const row = await endedRow(callId);
    expect(row).toMatchObject({
      status: 'ended',
      end_reason: 'caller silent',
      hangup: { cause: 'NORMAL_CLEARING', q850: 16, by: 'send_bye' },
    });
    expect(turns(row, 'agent').at(-1)?.text).toBe(goodbye);
    const heard = await recognised(call, from, call.heardMs);
    console.log(`heard ${JSON.stringify(heard)}`);
    expect(wordErrors(goodbye, heard).rate).toBeLessThanOrEqual(0.5);
    // To its last sound, by level: how well the last word is recognised does not tell.
    const [whole, came] = [await telephony.laptop.speech(goodbye), call.heard(from - 100)].map((samples) =>
      voicedSpan(samples, 8000),
    );
    expect(came!.end - came!.start).toBeGreaterThanOrEqual(whole!.end - whole!.start - at(50));
  });

  it('goes on where the caller stopped hearing, after its WebSocket was lost', async () => {
    const [brakes, parking, firstSentence] = await Promise.all(
      [longQuestion, parkingQuestion, longAnswer.split('. ')[0]!].map((text) =>
        telephony.laptop.speech(text),
      ),
    );
    const placed = await place();
    const { call, callId } = placed;
    await call.say(brakes!);
    const from = await call.sound();
    // Between two sentences: half a word would be understood by nobody.
    await call.until(() => call.heardMs >= from + firstSentence!.length / 8, 'the answer');
    telephony.wire.cut(callId);
    const cutMs = call.heardMs;
    // He stays on the line, and hears that it is held.
    await call.until(() => toneMs(call, cutMs) >= 200, 'the hold line');
    telephony.wire.mend(callId);
    const opened = new RegExp(`event=stream\\.open call=${callId} serial=[2-9]`);
    await telephony.node.line(opened);
    const back = call.heardMs;
    await call.quiet(turnEndMs);
    const rest = { from: back, to: call.heardMs };
    await call.say(parking!);
    const parked = await reply(call);
    const row = await hangUp(placed);

    expect(row).toMatchObject({ status: 'ended', end_reason: 'hangup', counts: { drops: 1, resumes: 1 } });
    expect(turns(row, 'agent').map(({ text }) => text)).toEqual([greeting, longAnswer, parkingAnswer]);
    const before = await recognised(call, from, cutMs);
    const after = await recognised(call, rest.from, rest.to);
    console.log(`heard ${JSON.stringify(before)}, then ${JSON.stringify(after)}`);
    // Of the second sentence alone; half a sentence is recognised badly.
    expect(before).not.toMatch(/eighteen|18/i);
    expect(after).toMatch(/eighteen|18/i);
    expect(wordErrors(longAnswer, `${before} ${after}`).rate).toBeLessThanOrEqual(0.5);
    const answer = await recognised(call, parked.from, parked.to);
    expect(wordErrors(parkingAnswer, answer).rate).toBeLessThanOrEqual(0.34);
  });

  it('is given to the next node where the first one is dead, and the caller does not notice', async () => {
    const proxy = await telephony.proxyWithDeadNode();
    const placed = await place(proxy);
    const { call, callId } = placed;
    // The second id of the call: whatever the first node may have begun, this is another one.
    expect(callId).toMatch(/-1$/);
    await proxy.line(/event=call\.next-node .* node=node-/);
    await call.say(await telephony.laptop.speech(parkingQuestion));
    await reply(call);
    const row = await hangUp(placed);
    expect(row).toMatchObject({
      call_id: callId,
      status: 'ended',
      end_reason: 'hangup',
      metadata: { sip: { callId: call.sipCallId, node: telephony.entry.name } },
    });
    expect(turns(row, 'agent').at(-1)?.text).toBe(parkingAnswer);
    await proxy.untilIdle();
  });
});

describe.concurrent('a caller who is to be connected to somebody else', () => {
  it('is told so, hears ringing, and is back with the agent when nobody answers', async () => {
    const [asked, parking] = await Promise.all(
      ['Please connect me to the workshop.', parkingQuestion].map((text) => telephony.laptop.speech(text)),
    );
    const placed = await place();
    const { call } = placed;
    await call.say(asked!);
    const told = await call.sound();
    const ringing = await telephony.gateway.rings(colleagues.workshop);
    const toldUntil = call.heardMs;
    await call.until(() => toneMs(call, toldUntil) >= 400, 'ringing');
    await ringing.cancelled();
    const back = await notRinging(call);
    const until = await call.quiet(turnEndMs);
    await call.say(parking!);
    await reply(call);
    const row = await hangUp(placed, hasTransfers);

    const texts = turns(row, 'agent').map(({ text }) => text);
    expect(texts).toEqual([greeting, puttingThrough, failedLine, parkingAnswer]);
    expect(wordErrors(puttingThrough, await recognised(call, told, toldUntil)).rate).toBeLessThanOrEqual(0.4);
    expect(wordErrors(failedLine, await recognised(call, back, until)).rate).toBeLessThanOrEqual(0.4);
    expect(row).toMatchObject({
      status: 'ended',
      end_reason: 'hangup',
      transfers: [{ to: colleagues.workshop, outcome: 'no answer' }],
    });
  });

  it('talks to whoever answers, and the agent has nothing to do with it any more', async () => {
    const asked = await telephony.laptop.speech('Please connect me to the office.');
    const [question, answer] = await Promise.all(['librivox-0880', 'librivox-0930'].map(human));
    const { call, callId } = await place();
    await call.say(asked);
    await call.sound();
    const ringing = await telephony.gateway.rings(colleagues.office);
    const colleague = await ringing.answer();
    await telephony.node.line(new RegExp(`event=transfer\\.answered call=${callId}`));
    const asking = await across(call, question!.samples, colleague);
    const answering = await across(colleague, answer!.samples, call);
    await colleague.hangUp();
    await call.ended();
    const row = await endedRow(callId, hasTransfers);

    const heard = [wordErrors(question!.reference, asking), wordErrors(answer!.reference, answering)];
    expect(pooledWordErrors(heard).rate).toBeLessThanOrEqual(0.4);
    expect(turns(row, 'agent').map(({ text }) => text)).toEqual([greeting, puttingThrough]);
    expect(turns(row, 'caller').length).toBe(1);
    expect(row).toMatchObject({
      status: 'ended',
      end_reason: 'transferred',
      transfers: [{ to: colleagues.office, outcome: 'answered' }],
      hangup: { cause: 'NORMAL_CLEARING', transferredSeconds: expect.any(Number) },
    });
  });
});

describe.concurrent('a call that the service places', () => {
  it('rings, and the agent talks to whoever answers', async () => {
    const number = '+4930111113';
    const callId = await telephony.dial(number);
    const ringing = await telephony.gateway.rings(number);
    expect(ringing.invite.first('From')).toContain(called.number);
    const call = await ringing.answer();
    const greeted = { from: await call.sound(), to: await call.quiet(turnEndMs) };
    await call.say(await telephony.laptop.speech(parkingQuestion));
    const answered = await reply(call);
    const row = await hangUp({ call, callId }, ({ dial }) => dial !== null);

    expect(row).toMatchObject({
      user_id: called.userId,
      phone_number: number,
      status: 'ended',
      end_reason: 'hangup',
      metadata: { direction: 'outbound', from: called.number, to: number },
      dial: { state: 'answered', node: telephony.entry.name },
      hangup: { cause: 'NORMAL_CLEARING', by: 'recv_bye' },
    });
    expect(turns(row, 'agent').map(({ text }) => text)).toEqual([greeting, parkingAnswer]);
    const heard = [
      wordErrors(greeting, await recognised(call, greeted.from, greeted.to)),
      wordErrors(parkingAnswer, await recognised(call, answered.from, answered.to)),
    ];
    expect(pooledWordErrors(heard).rate).toBeLessThanOrEqual(0.34);
  });

  it('and that is declined is in the log with its cause', async () => {
    const number = '+4930111114';
    const callId = await telephony.dial(number);
    (await telephony.gateway.rings(number)).refuse(486, 'Busy Here');
    const row = await telephony.laptop.rowOf(callId);
    expect(row).toMatchObject({
      status: 'failed',
      end_reason: 'busy',
      dial: { state: 'failed', node: telephony.entry.name, cause: 'USER_BUSY', sipStatus: 486 },
    });
  });
});

/** Says it, and gives what a recogniser hears of it at the other end. */
async function across(speaker: PhoneCall, samples: Int16Array, listener: PhoneCall): Promise<string> {
  const [from] = await Promise.all([listener.sound(), speaker.say(samples)]);
  return recognised(listener, from, await listener.quiet(fallsSilentMs));
}

/** Waits until something else than the tone is heard; when it began. */
async function notRinging(call: PhoneCall): Promise<number> {
  for (;;) {
    const from = await call.sound();
    if (toneMs(call, from) === 0) return from;
  }
}

/** How much of what was heard from there on is the hold line's tone. */
function toneMs(call: PhoneCall, fromMs: number): number {
  const block = at(20);
  const samples = call.heard(fromMs);
  let blocks = 0;
  for (let start = 0; start + block <= samples.length; start += block) {
    const [energy, tone] = levels(samples.subarray(start, start + block));
    if (energy > 0 && tone / energy > 0.8) blocks += 1;
  }
  return blocks * 20;
}

/** The energy of a stretch, and that of the tone in it: one term of its Fourier series. */
function levels(samples: Int16Array): [energy: number, tone: number] {
  let [energy, re, im] = [0, 0, 0];
  for (const [i, sample] of samples.entries()) {
    const phase = (2 * Math.PI * holdToneHz * i) / 8_000;
    energy += sample * sample;
    re += sample * Math.cos(phase);
    im += sample * Math.sin(phase);
  }
  return [energy, (2 * (re * re + im * im)) / samples.length];
}
