import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { PhoneCall, Reception } from '../test/support/sip/phone.ts';
import { called, Telephony } from '../test/support/telephony.ts';
import { wordErrors } from '../test/support/word-errors.ts';
import { voicedSpan } from '../tools/caller/audio.ts';
import { whole } from './options.ts';
import { printTable, quantile, rounded } from './statistics.ts';

export const help = `npm run bench -- sip-calls [--calls N] [--apart MS]

Calls through the real Kamailio and a media node to the service as npm start runs it, with the embedded engines: so many at once (1), who are
all on the line before the first one asks. One asks after the other, so many milliseconds apart (500): the embedded recogniser
hears one question at a time. FREESWITCH_BIN names a FreeSWITCH with its modules, which then is the node; without it the double is.`;

const questions = [
  'Could you tell me where to leave my car?',
  'Can you adjust my brakes?',
  'What are your opening hours?',
];
/** New calls a second: a node takes 60 (`max_calls_per_second`). */
const placedPerSecond = 20;
/** What is heard as the question counts as understood up to this rate of word errors. */
const understoodRate = 0.34;
/** After so long without a sound the greeting is over. */
const greetingEndMs = 1_000;
/** All rows are asked for at once. */
const writtenWithinMs = 120_000;

interface Caller {
  call: PhoneCall | null;
  greeted: boolean;
  /** From the last voiced sample of the question to the first sound of the answer, by the caller's clock. */
  answerMs: number | null;
  released: boolean;
  understood: boolean;
}

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    options: { calls: { type: 'string', default: '1' }, apart: { type: 'string', default: '500' } },
  });
  const count = whole('--calls', values.calls, 1, 1_000);
  const apartMs = whole('--apart', values.apart, 0, 60_000);
  const [loadBefore = 0] = loadavg();
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const telephony = await Telephony.start({
    signal: stop.signal,
    direct: true,
    settings: {
      MAX_CONCURRENT_CALLS_PER_USER: '0',
      SILENCE_PROMPT_MS: '3600000',
      SILENCE_HANGUP_MS: '3600000',
    },
  });
  try {
    return await measure(telephony, count, apartMs, loadBefore);
  } finally {
    stop.abort();
    await telephony.close();
  }
}

async function measure(
  telephony: Telephony,
  count: number,
  apartMs: number,
  loadBefore: number,
): Promise<object> {
  const { laptop, node, proxy } = telephony;
  const spoken = await Promise.all(questions.map((text) => laptop.speech(text)));
  const phone = await telephony.phone();
  const callers = Array.from(
    { length: count },
    (): Caller => ({ call: null, greeted: false, answerMs: null, released: false, understood: false }),
  );

  await eachOf(callers, 1_000 / placedPerSecond, async (caller) => {
    caller.call = await phone.call(proxy, called.number, { keepAudio: false });
    await caller.call.sound();
    caller.greeted = true;
    await caller.call.quiet(greetingEndMs);
  });

  const up = callers.filter(({ call }) => call?.up === true);
  const begun = {
    at: performance.now(),
    node: node.cpuUs(),
    machine: machineTimes(),
    own: process.cpuUsage(),
  };
  await eachOf(up, apartMs, async (caller, i) => {
    const samples = spoken[i % spoken.length] as Int16Array;
    const call = caller.call as PhoneCall;
    const said = call.say(samples).then(() => call.nowMs);
    const trailingMs = (samples.length - (voicedSpan(samples, 8_000)?.end ?? samples.length)) / 8;
    const lastWordMs = (await said) - trailingMs;
    caller.answerMs = (await call.sound()) - lastWordMs;
    await call.quiet(greetingEndMs);
  });
  const lastedMs = performance.now() - begun.at;
  const nodeCpu = (node.cpuUs() - begun.node) / 1_000 / lastedMs;
  const own = process.cpuUsage(begun.own);
  const busy = busyShare(begun.machine, machineTimes());

  await eachOf(up, 1_000 / placedPerSecond, async ({ call }) => {
    await (call as PhoneCall).hangUp();
  });
  await proxy.untilIdle();
  await eachOf(up, 0, async (caller, i) => {
    const row = await laptop.rowOf(
      await telephony.callIdOf(caller.call as PhoneCall),
      ({ hangup }) => hangup !== null,
      writtenWithinMs,
    );
    caller.released = row.status === 'ended' && row.end_reason === 'hangup';
    if (!caller.released) console.error(`call ${i + 1}: ${row.status}, ${row.end_reason}`);
    const heardAs = row.transcript.filter(({ role }) => role === 'caller').map(({ text }) => text);
    const question = questions[i % questions.length] ?? '';
    caller.understood = wordErrors(question, heardAs.join(' ')).rate <= understoodRate;
    if (!caller.understood)
      console.error(`call ${i + 1}: ${question} was heard as ${JSON.stringify(heardAs)}`);
  });
  const why = node.log.flatMap(
    (line) => /event=(?:call\.released|stream\.lost) .*why=(\S+)/.exec(line)?.[1] ?? [],
  );
  return report(callers, {
    node: node.kind,
    trouble: Object.fromEntries(
      [...new Set(why)].map((each) => [each, why.filter((other) => other === each).length]),
    ),
    seconds: lastedMs / 1_000,
    nodeCpu,
    callersCpu: (own.user + own.system) / 1_000 / lastedMs,
    busy,
    loadBefore,
  });
}

/** One after the other begins, so many milliseconds apart; resolves when all have come to an end. What goes wrong is told, and counted. */
async function eachOf(
  callers: readonly Caller[],
  apartMs: number,
  act: (caller: Caller, index: number) => Promise<void>,
): Promise<void> {
  const since = performance.now();
  await Promise.all(
    callers.map(async (caller, i) => {
      await pause(Math.max(0, since + i * apartMs - performance.now()));
      await act(caller, i).catch((error: Error) => console.error(`call ${i + 1}: ${error.message}`));
    }),
  );
}

function report(
  callers: readonly Caller[],
  machine: {
    node: string;
    trouble: Readonly<Record<string, number>>;
    seconds: number;
    nodeCpu: number;
    callersCpu: number;
    busy: number;
    loadBefore: number;
  },
): object {
  const calls = callers.flatMap(({ call }) => (call === null ? [] : [call]));
  const answers = callers.flatMap(({ answerMs }) => (answerMs === null ? [] : [answerMs]));
  const setUp = calls.map(({ setUpMs }) => setUpMs);
  const sum = (of: (reception: Reception) => number) =>
    calls.reduce((total, { reception }) => total + of(reception), 0);
  const result = {
    node: machine.node,
    calls: callers.length,
    answered: calls.length,
    heardGreeting: callers.filter(({ greeted }) => greeted).length,
    understood: callers.filter(({ understood }) => understood).length,
    heardAnswer: answers.length,
    released: callers.filter(({ released }) => released).length,
    setUpMs: { p50: rounded(quantile(setUp, 0.5), 0), p95: rounded(quantile(setUp, 0.95), 0) },
    answerMs: { p50: rounded(quantile(answers, 0.5), 0), p95: rounded(quantile(answers, 0.95), 0) },
    rtp: {
      packets: sum(({ packets }) => packets),
      lost: sum(({ lost }) => lost),
      gaps: sum(({ gaps }) => gaps),
      longestMs: rounded(Math.max(0, ...calls.map(({ reception }) => reception.longestMs)), 0),
    },
    trouble: machine.trouble,
    nodeCpu: rounded(machine.nodeCpu, 3),
    callersCpu: rounded(machine.callersCpu, 3),
    machineBusy: rounded(machine.busy, 3),
    loadBefore: rounded(machine.loadBefore, 2),
    seconds: rounded(machine.seconds, 0),
  };
  const percent = (share: number | null) => `${((share ?? 0) * 100).toFixed(0)} %`;
  printTable([
    [`${callers.length} calls at once, node: ${machine.node}`, ''],
    ['answered', `${result.answered}`],
    ['heard the greeting', `${result.heardGreeting}`],
    ['were understood', `${result.understood}`],
    ['heard an answer', `${result.heardAnswer}`],
    ['released cleanly', `${result.released}`],
    ['set up, p50 and p95', `${result.setUpMs.p50} and ${result.setUpMs.p95} ms`],
    ['last word to answer, p50 and p95', `${result.answerMs.p50} and ${result.answerMs.p95} ms`],
    ['RTP packets that came', `${result.rtp.packets}`],
    ['that were lost', `${result.rtp.lost}`],
    ['gaps of more than 60 ms', `${result.rtp.gaps}, the longest ${result.rtp.longestMs} ms`],
    ['sockets lost and calls given up', JSON.stringify(result.trouble)],
    ["the node's CPU, of one core", percent(result.nodeCpu)],
    ["the callers'", percent(result.callersCpu)],
    ['the machine was busy', percent(result.machineBusy)],
    ['its load before', `${result.loadBefore}`],
  ]);
  return result;
}

/** Jiffies of all cores since the start of the machine: proc(5), `/proc/stat`. */
function machineTimes(): { idle: number; all: number } {
  const fields = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]
    ?.trim()
    .split(/\s+/)
    .slice(1, 9)
    .map(Number);
  const [, , , idle = 0, waiting = 0] = fields ?? [];
  return { idle: idle + waiting, all: (fields ?? []).reduce((sum, field) => sum + field, 0) };
}

function busyShare(before: { idle: number; all: number }, after: { idle: number; all: number }): number {
  return 1 - (after.idle - before.idle) / (after.all - before.all);
}
