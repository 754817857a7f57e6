import { parseArgs } from 'node:util';
import { keysFile } from './data-folder.ts';
import { startSupabase } from './supabase.ts';

/**
 * The embedded Supabase as a command: `node embedded/supabase/main.ts [--port 54321] [--host 127.0.0.1]
 * [--data-dir .data/supabase]`. Prints its address and where its keys are, never the keys. Ends on SIGINT or SIGTERM.
 */
const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '54321' },
    host: { type: 'string', default: '127.0.0.1' },
    'data-dir': { type: 'string', default: '.data/supabase' },
  },
});

const port = Number(values.port);
if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  console.error(`--port must be a whole number from 0 to 65535, not ${values.port}`);
  process.exit(2);
}

try {
  const supabase = await startSupabase({
    port,
    host: values.host,
    dataDir: values['data-dir'],
    onProgress: (message) => console.log(message),
  });
  console.log(`SUPABASE_URL=${supabase.url}`);
  console.log(`keys: ${keysFile(values['data-dir'])}`);
  const stop = () => void supabase.close();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
