import type { TestProject } from 'vitest/node';
import { startSupabase } from '../../embedded/supabase/supabase.ts';
import { buildConsole } from '../../tools/console/build.ts';
import { ensureOpusWasm } from '../../tools/opus-wasm.ts';

declare module 'vitest' {
  interface ProvidedContext {
    supabaseUrl: string;
    supabaseKey: string;
  }
}

/** The tests in workerd talk to a real Supabase, and their Worker has the console's page and the codec in it. */
export default async function setup(project: TestProject) {
  await buildConsole();
  await ensureOpusWasm();
  const supabase = await startSupabase({ port: 0 });
  project.provide('supabaseUrl', supabase.url);
  project.provide('supabaseKey', supabase.serviceRoleKey);
  return () => supabase.close();
}
