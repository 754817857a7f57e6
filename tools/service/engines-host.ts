import { z } from 'zod';
import { startEngines } from '../../embedded/engines/engines.ts';
import { type Engines, openaiAliases } from '../../embedded/engines/options.ts';
import { hostPart } from './part-host.ts';

/** The process of the embedded engines: speech recognition, synthesis and the dialogue engine. */

const startSchema = z.object({ apiKey: z.string().min(1) });

let starting: Promise<Engines> | null = null;

hostPart({
  async start(params, progress) {
    const { apiKey } = startSchema.parse(params);
    starting = startEngines({
      apiKey,
      // For clients beside the Worker that know OpenAI's names only.
      aliases: openaiAliases,
      log: (line) => console.log(line),
      onProgress: ({ engine, state, tookMs }) =>
        progress(`${engine} ${state}${tookMs === undefined ? '' : ` after ${Math.round(tookMs)} ms`}`),
    });
    const engines = await starting;
    await engines.ready;
    return { url: engines.url };
  },

  async close() {
    const engines = await starting?.catch(() => null);
    await engines?.close();
  },
});
