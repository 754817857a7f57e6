import { env } from 'cloudflare:workers';
import { log } from './log.ts';
import { router } from './router.ts';
import { settingsWithoutEffect } from './settings-without-effect.ts';

export { CallSessionDO } from './CallSessionDO.ts';
export { DialQueueDO } from './DialQueueDO.ts';
export { MetricsDO } from './MetricsDO.ts';
export { PermitsDO } from './PermitsDO.ts';
export { UserCallsDO } from './UserCallsDO.ts';

// Settings are parsed here so that a wrong one stops the start, with a message that names it.
for (const { setting, because } of settingsWithoutEffect(env)) {
  log('warn', 'a setting has no effect', { setting, because });
}

export default router;
