import type { CostArguments } from './arguments.ts';
import type { Bill, Group, Line } from './bill.ts';
import { type Claim, dollars } from './documents.ts';
import { measured, provenance } from './measured.ts';
import type { Saving } from './savings.ts';

export interface Printed {
  options: CostArguments;
  bill: Bill;
  savings: Saving[];
  claims: Claim[];
}

const groups: Group[] = ['vendors', 'Cloudflare', 'database', 'servers'];
const whole = (value: number) => value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 2 : 0 });

/** The bill as text, without colours. */
export function billText({ options, bill, savings, claims }: Printed): string {
  const { load, total } = bill;
  const sources = new Map<string, number>();
  const source = (line: Line) => {
    const known = sources.get(line.source) ?? sources.size + 1;
    sources.set(line.source, known);
    return known;
  };
  const rows = groups.flatMap((group) => {
    const lines = bill.lines.filter((line) => line.group === group);
    const sum = lines.reduce((usd, line) => usd + line.usd, 0);
    return [
      ['', ''],
      [group, dollars(sum)],
      ...lines.map((line) => [
        `  ${line.item}`,
        dollars(line.usd),
        `${whole(line.quantity)} ${line.unit}`,
        `[${source(line)}]${line.standing === 'published' ? '' : ` ${line.standing}`}`,
      ]),
    ];
  });
  const notes = bill.lines
    .filter(({ note }) => note !== undefined)
    .map((line) => `  ${line.item}: ${line.note}`);
  return [
    basis(options, load),
    '',
    ...table([...rows, ['', ''], ['a month', dollars(total)]]),
    `  ${dollars(total / load.calls)} a call, ${dollars(total / load.minutes)} a minute. Not in it: telephone minutes, taxes, support, traffic of the nodes.`,
    '',
    'Notes',
    ...notes,
    '',
    'Sources, read on 2026-11-21. published: on the vendor’s own page; quoted, derived, unverified: see src/cost/prices.ts',
    ...[...sources].map(([address, at]) => `  [${at}] ${address}`),
    '',
    'What each option saves a month, by itself',
    ...table(savings.map(({ option, usd }) => [`  ${option}`, dollars(usd)])),
    ...savings.filter(({ note }) => note !== undefined).map(({ option, note }) => `  ${option}: ${note}`),
    '',
    'Where the documents differ: 200,000 calls at once, all day where they say nothing else',
    ...claims.flatMap(({ document, says, usd, why }) => [
      `  ${document}: ${says}`,
      `    ${usd === null ? '' : `${dollars(usd)}. `}${why}`,
    ]),
    '',
    'Measured',
    ...Object.entries(provenance).map(
      ([name, how]) => `  ${name} ${measured[name as keyof typeof measured]}: ${how}`,
    ),
  ].join('\n');
}

function basis({ monthly, calls, hours, minutes }: CostArguments, load: Bill['load']): string {
  const what =
    monthly === undefined
      ? `${whole(calls)} calls at once, ${whole(hours)} h a day, 30 days`
      : `${whole(monthly)} calls a month, ${whole(load.concurrent)} at once on average`;
  return `${what}: ${whole(load.calls)} calls of ${whole(minutes)} minutes, ${whole(load.minutes)} minutes, ${whole(load.turns)} turns`;
}

function table(rows: string[][]): string[] {
  const widths = [0, 1, 2, 3].map((at) => Math.max(0, ...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, at) => (at === 0 || at === 3 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)))
      .join('   ')
      .trimEnd(),
  );
}
