import { z } from 'zod';
import { type EmbeddedSupabase, startSupabase } from '../../embedded/supabase/supabase.ts';
import { hostPart } from './part-host.ts';

/** The process of the embedded Supabase: Postgres (in WebAssembly) would hold up a caller's frames in any other. */

const startSchema = z.object({ dataDir: z.string() });

let starting: Promise<EmbeddedSupabase> | null = null;

hostPart({
  async start(params, onProgress) {
    const { dataDir } = startSchema.parse(params);
    starting = startSupabase({ dataDir, onProgress });
    const { url, serviceRoleKey, jwtSecret } = await starting;
    return { url, serviceRoleKey, jwtSecret };
  },

  async close() {
    const supabase = await starting?.catch(() => null);
    await supabase?.close();
  },
});
