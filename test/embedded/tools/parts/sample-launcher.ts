import { Part } from '../../../../tools/service/part.ts';

/** Starts a part, says which processes there are, and waits to be killed. `argv`: the part's script, log file, mood. */
const [, , script, logFile, mood] = process.argv;
const { value } = await Part.start({
  name: 'sample',
  script: new URL(script ?? ''),
  params: mood,
  logFile: logFile ?? '',
  startMs: 20_000,
  signal: new AbortController().signal,
});
console.log(JSON.stringify(value));
setInterval(() => {}, 1000);
