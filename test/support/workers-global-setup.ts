import type { TestProject } from 'vitest/node';
import { startSupabase } from '../../embedded/supabase/supabase.ts';

declare module 'vitest' {
  interface ProvidedContext {
    supabaseUrl: string;
    supabaseKey: string;
  }
}

/** The tests in workerd talk to a real Supabase. */
export default async function setup(project: TestProject) {
  const supabase = await startSupabase({ port: 0 });
  project.provide('supabaseUrl', supabase.url);
  project.provide('supabaseKey', supabase.serviceRoleKey);
  return () => supabase.close();
}
