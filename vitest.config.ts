import { availableParallelism } from 'node:os';
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { configDefaults, defineConfig, type TestProjectConfiguration } from 'vitest/config';

/** In workerd: the router, the objects, their storage. A real Supabase, a scripted vendor. */
function inWorkerd(
  name: string,
  include: string,
  compatibilityFlags: string[] = [],
): TestProjectConfiguration {
  return {
    plugins: [
      cloudflareTest(({ inject }) => ({
        wrangler: { configPath: './wrangler.toml' },
        miniflare: {
          compatibilityFlags,
          bindings: {
            OPENAI_API_KEY: 'test-key',
            // Nobody listens there: what no test answers goes no further.
            OPENAI_BASE_URL: 'http://127.0.0.1:1/v1',
            // What answers there stands for OpenAI.
            PRICES: '{"openai/*": "list"}',
            SUPABASE_URL: inject('supabaseUrl'),
            SUPABASE_DIRECT_URL: inject('supabaseDirectUrl'),
            FAULT_CONTROL_URL: inject('faultControlUrl'),
            SUPABASE_SERVICE_ROLE_KEY: inject('supabaseKey'),
            RATE_LIMIT_PER_IP: '0',
            AUTH: 'none',
            AGENT_TOOLS:
              '{"hangUp": false, "transfer": {"destinations": [{"name": "desk", "to": "+493012345"}]}}',
            RESUME_GRACE: '4000',
            CONVERSATION_INTERVAL: '1000',
            CORS_ORIGINS: 'https://console.example',
            REGIONS: '{"users": {"eu-user": "eu", "us-user": "enam"}, "nodes": {"fs-eu": "eu"}}',
          },
        },
      })),
    ],
    test: {
      name,
      // It names a module of Node's that a Worker never reaches; bundled, that is left out.
      deps: { optimizer: { ssr: { enabled: true, include: ['mediabunny'] } } },
      include: [include],
      globalSetup: ['test/support/workers-global-setup.ts'],
      // Storage is isolated by file in any case; one runtime for all files saves 2 s each.
      isolate: false,
      // One after the other: they share the proxy that fails.
      maxWorkers: 1,
      testTimeout: 30_000,
      hookTimeout: 60_000,
    },
  };
}

const killing = 'test/e2e/kill.test.ts';
const telephone = 'test/e2e/telephone.test.ts';

/** Files that share nothing and wait for nobody in real time. By itself vitest leaves a core idle, of two one. */
const onEachCore = { maxWorkers: availableParallelism(), sequence: { groupOrder: 1 } };

export default defineConfig({
  test: {
    silent: 'passed-only',
    projects: [
      /** Plain TypeScript, fake clocks; I/O on loopback at most. */
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], ...onEachCore } },
      inWorkerd('workers', 'test/workers/*.test.ts'),
      /** Storage is made really full by a method of workerd's that is for tests only. */
      inWorkerd('workers-full', 'test/workers/full/*.test.ts', ['experimental']),
      /** The embedded engines and the embedded Supabase, each on a loopback port of its own. */
      {
        test: {
          name: 'embedded',
          include: ['test/embedded/**/*.test.ts'],
          ...onEachCore,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      /** The real Kamailio with SIPp, on loopback. Tests of a file run at once: they mostly wait. */
      {
        test: {
          name: 'sip',
          include: ['test/sip/**/*.test.ts'],
          maxConcurrency: 8,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      /** The built service with the embedded engines, as `npm start` runs it. */
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: [...configDefaults.exclude, killing, telephone],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Each file has a service of its own, and mostly waits: a call takes its time.
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      /** Many telephone calls at once, in real time: nothing else runs then, or they talk past each other. */
      {
        test: {
          name: 'telephone',
          include: [telephone],
          maxConcurrency: 5,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
      /** Counts what comes in time from a process that is killed: nothing else runs then. */
      {
        test: {
          name: 'kill',
          include: [killing],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
