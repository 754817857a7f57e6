/** `npm run bench -- NAME [options]`: prints a table and, as its last line, one JSON object. */
const benches: Record<string, { describe: string; load(): Promise<{ run(): Promise<object> }> }> = {
  frame: {
    describe: 'CPU per incoming frame, against an object that only counts the same frames',
    load: () => import('./frame.ts'),
  },
  windows: {
    describe: 'What it costs in words to transcribe speech before it is over',
    load: () => import('./windows.ts'),
  },
};

const name = process.argv[2] ?? '';
const bench = benches[name];
if (bench === undefined) {
  console.error(`Usage: npm run bench -- NAME\n`);
  for (const [known, { describe }] of Object.entries(benches))
    console.error(`  ${known.padEnd(12)} ${describe}`);
  process.exit(2);
}
const { run } = await bench.load();
console.log(JSON.stringify(await run()));

export {};
