import { expect, it } from 'vitest';
import { holderOf } from '../../../src/auth/nodes.ts';
import { verifyUserToken } from '../../../src/auth/user-tokens.ts';
import { loadConfig } from '../../../src/config.ts';
import { localAccess } from '../../../tools/service/local-access.ts';

it('the tokens that `npm start -- --auth` prints are taken with the settings that it makes', async () => {
  const url = 'http://127.0.0.1:54321';
  const { settings, tokens } = await localAccess(url, 'the-secret-of-the-embedded-project-0');
  const config = loadConfig(settings);
  expect(config.AUTH).toBe('required');
  expect(await holderOf(tokens.service, null, null, config)).toMatchObject({ kind: 'service', users: '*' });
  const secret = config.SUPABASE_JWT_SECRET!;
  const keys = () => Promise.reject(new Error('there are none'));
  const user = await verifyUserToken(
    tokens.user,
    { issuer: `${url}/auth/v1`, keys, secret },
    Date.now() + 3_000_000,
  );
  expect(user.subject).toBe(tokens.userId);
});
