import { env } from 'cloudflare:workers';
import type { Env } from './env.ts';
import { log } from './log.ts';
import { router } from './router.ts';
import { scheduled } from './scheduled.ts';
import { settingsWithoutEffect } from './settings-without-effect.ts';

export { AlertsDO } from './AlertsDO.ts';
export { CallSessionDO } from './CallSessionDO.ts';
export { DialQueueDO } from './DialQueueDO.ts';
export { MetricsDO } from './MetricsDO.ts';
export { PermitsDO } from './PermitsDO.ts';
export { UserCallsDO } from './UserCallsDO.ts';

// Settings are parsed here so that a wrong one stops the start, with a message that names it.
for (const { setting, because } of settingsWithoutEffect(env)) {
  log('warn', 'a setting has no effect', { setting, because });
}

export default { fetch: router.fetch, scheduled } satisfies ExportedHandler<Env>;
