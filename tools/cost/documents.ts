import { parseCostArguments } from './arguments.ts';
import { type Bill, billOf, groupTotal } from './bill.ts';
import { measured } from './measured.ts';

/** A figure of a source document, and what comes of it. */
export interface Claim {
  document: string;
  says: string;
  /** What it comes to, dollars a month; null: it cannot be said in money. */
  usd: number | null;
  why: string;
}

/** As the documents have it: 200,000 calls at once, and their names for it. */
const calls = 200_000;

/**
 * Where the documents' figures differ from what it costs, at their own assumptions: 200,000 calls at once, all the time, and the service as it
 * is without settings.
 */
export function claimsOf(): Claim[] {
  const options = parseCostArguments([]);
  const always = billOf({ ...options, calls, hours: 24, monthly: undefined });
  const anHour = billOf({ ...options, calls, hours: 1, monthly: undefined });
  const sum = (bill: Bill, start: string) =>
    bill.lines.filter(({ item }) => item.startsWith(start)).reduce((total, { usd }) => total + usd, 0);
  const { inputTokensATurn, outputTokensATurn } = measured;
  const atGpt4 = (anHour.load.turns * (inputTokensATurn * 0.01 + outputTokensATurn * 0.03)) / 1_000;
  return [
    {
      document: '000, "Cost Analysis"; 001, "Infrastructure Requirements"',
      says: 'Durable Objects: $300-500/month',
      usd: sum(always, 'objects'),
      why: 'An object is billed for as long as it lives, 0.128 GB-s a second: 200,000 of them are 25,600 GB-s each second. Every 20 messages are a request, and every row that is written counts: they are the most of it.',
    },
    {
      document: '000; 001',
      says: 'Workers: $500-800/month; "Requests: ~$0.50 per million requests", "Duration: ~$12.50 per million GB-seconds"',
      usd: sum(always, 'Worker'),
      why: 'Requests are $0.30 a million, duration is not billed, and a socket is one request: it is the objects that cost.',
    },
    {
      document: '000; 001',
      says: 'KV: $50-100/month; "Rate limiting checks: ~400K/sec"',
      usd: (400_000 * 30 * 86_400 * 0.5) / 1_000_000,
      why: `So many reads would cost this. Nothing is read from KV at a request here: ${dollars(sum(always, 'KV'))}.`,
    },
    {
      document: '000; 001',
      says: 'R2: $30-50/month; "10GB per 1000 calls"',
      usd: sum(always, 'recordings'),
      why: 'A minute is 0.96 MB (000 has "1MB per minute"); 200,000 calls at once are 276 TB a day, of which 90 days are kept.',
    },
    {
      document: '000; 001',
      says: 'Total Cloudflare Cost: ~$1,000-1,500/month for 200K concurrent calls',
      usd: groupTotal(always, 'Cloudflare'),
      why: 'The sum of the above.',
    },
    {
      document: '000',
      says: 'Whisper: $0.006/min × 200K × 60min × 30 days = $2,160,000/month',
      usd: sum(anHour, 'speech to text'),
      why: 'Its busy hour is one a day, and every minute of it is transcribed: callers do not speak all the time, silence is not sent, and whisper-1 ends on 2027-02-26.',
    },
    {
      document: '000',
      says: 'TTS: $0.015/min × 200K × 60min × 30 days = $5,400,000/month',
      usd: sum(anHour, 'text to speech'),
      why: 'The same document has the price as $0.015 per 1K characters, not per minute; and the agent does not speak all the time.',
    },
    {
      document: '000',
      says: 'GPT-4: Highly variable, estimate $1,000,000/month; "$0.01 per 1K input tokens, $0.03 per 1K output tokens"',
      usd: sum(anHour, 'language model'),
      why: `gpt-4 was shut down on 2026-10-23. At its prices the tokens that were measured would cost ${dollars(atGpt4)}.`,
    },
    {
      document: '000; 001',
      says: 'Use GPT-3.5-turbo instead of GPT-4: -90% AI cost',
      usd: null,
      why: `Both are gone. Of what vendors charge here the language model is ${Math.round((100 * sum(always, 'language model')) / groupTotal(always, 'vendors'))} %: speech is the rest.`,
    },
    {
      document: '000',
      says: 'Use local Whisper.cpp: -100% STT cost; Use local Piper TTS: -100% TTS cost; Optimized total: ~$4,000/month',
      usd: null,
      why: 'Servers that transcribe and speak for 200,000 calls cost as well (see the options), and the objects alone cost more.',
    },
    {
      document: '000; 001',
      says: 'FreeSWITCH (30 nodes × $80/node): ~$2,400/month; "Each server: 7,000-10,000 concurrent calls"',
      usd: sum(always, 'FreeSWITCH'),
      why: 'Half a core for 100 calls was measured: 1,600 calls on eight cores.',
    },
    {
      document: '000',
      says: 'Supabase: ~$75/month',
      usd: sum(always, 'Supabase'),
      why: 'Over a thousand calls begin and end every second: for that the largest server with a list price is hardly enough, and its rows are terabytes a month.',
    },
    {
      document: '003, "Hybrid Cost Benefits"',
      says: 'Cost Per Call: Hybrid Architecture: $0.006',
      usd: null,
      why: `Of no stated length or volume. Here a call of ${options.minutes} minutes costs ${dollars(always.total / always.load.calls)}.`,
    },
    {
      document: '004, "Resource Usage by Component"',
      says: 'Total Estimated: $200-500+',
      usd: null,
      why: 'For "50-100 per instance"; OpenAI and Twilio stand in it as "Variable", which is most of any bill.',
    },
  ];
}

export function dollars(usd: number): string {
  const digits = Math.abs(usd) < 1 && usd !== 0 ? 4 : 0;
  return `${usd < 0 ? '−' : ''}$${Math.abs(usd).toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}
