import type { TestProject } from 'vitest/node';
import { startSupabase } from '../../embedded/supabase/supabase.ts';
import { buildConsole } from '../../tools/console/build.ts';
import { ensureOpusWasm } from '../../tools/opus-wasm.ts';
import { startFaultControl } from './fault-control.ts';
import { startFaultProxy } from './fault-proxy.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** As the service reaches it: through a proxy, which `faultControlUrl` makes fail. */
    supabaseUrl: string;
    /** As the tests look at it. */
    supabaseDirectUrl: string;
    faultControlUrl: string;
    supabaseKey: string;
  }
}

/** The tests in workerd talk to a real Supabase, and their Worker has the console's page and the codec in it. */
export default async function setup(project: TestProject) {
  await buildConsole();
  await ensureOpusWasm();
  const supabase = await startSupabase({ port: 0 });
  const proxy = await startFaultProxy();
  proxy.passTo(supabase.url);
  const control = await startFaultControl(proxy);
  project.provide('supabaseUrl', proxy.url);
  project.provide('supabaseDirectUrl', supabase.url);
  project.provide('faultControlUrl', control.url);
  project.provide('supabaseKey', supabase.serviceRoleKey);
  return async () => {
    await control.close();
    await proxy.close();
    await supabase.close();
  };
}
