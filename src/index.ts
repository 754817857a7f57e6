import { env } from 'cloudflare:workers';
import { loadConfig } from './config.ts';
import { router } from './router.ts';

export { CallSessionDO } from './CallSessionDO.ts';
export { MetricsDO } from './MetricsDO.ts';

// Settings are parsed here so that a wrong one stops the start, with a message that names it.
loadConfig(env);

export default router;
