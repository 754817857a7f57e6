import { parseArgs } from 'node:util';
import { startEngines } from './engines.ts';
import { type Engines, openaiAliases } from './options.ts';

/**
 * `node embedded/engines/main.ts [--port 9100] [--host 127.0.0.1] [--verbose]`: the embedded engines as a server of
 * their own, under OpenAI's model names too. A key in the environment's `ENGINES_API_KEY` is then demanded.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '9100' },
      host: { type: 'string', default: '127.0.0.1' },
      verbose: { type: 'boolean', default: false },
    },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error('--port must be 0 to 65535');
  const apiKey = process.env.ENGINES_API_KEY;
  let engines: Engines | null = null;
  let stopping = false;
  const stop = () => {
    stopping = true;
    // A second signal means that the first did not suffice.
    process.once('SIGINT', () => process.exit(130));
    process.once('SIGTERM', () => process.exit(143));
    void engines?.close();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  engines = await startEngines({
    port,
    host: values.host,
    aliases: openaiAliases,
    ...(apiKey ? { apiKey } : {}),
    ...(values.verbose ? { log: (line: string) => console.log(line) } : {}),
    onProgress: ({ engine, state, tookMs }) => {
      console.log(state === 'ready' ? `${engine}: ready after ${tookMs} ms` : `${engine}: loading`);
    },
  });
  if (stopping) await engines.close();
  try {
    await engines.ready;
    console.log(`OpenAI-compatible engines at ${engines.url}/v1`);
  } catch (error) {
    await engines.close();
    if (!stopping) throw error;
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
