import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      /** Plain TypeScript, fake clocks, no I/O. */
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      /** The embedded engines and the embedded Supabase, each on a loopback port of its own. */
      {
        test: {
          name: 'embedded',
          include: ['test/embedded/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
