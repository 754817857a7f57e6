import path from 'node:path';
import { embeddedSettings } from '../service/service.ts';
import { readServiceFile } from '../service/service-file.ts';
import { type FoundSettings, SettingsError } from './settings.ts';

/**
 * The settings that the running `npm start` has given its Worker. Throws {@link SettingsError} where none runs.
 *
 * @param dataDir where it keeps its data. Absolute.
 */
export function localSettings(dataDir: string): FoundSettings {
  const service = readServiceFile(dataDir);
  if (service === null) {
    throw new SettingsError(
      `No \`npm start\` runs with its data in ${path.relative(process.cwd(), dataDir) || '.'}, or it is still starting. Start it, or name its folder by --data.`,
    );
  }
  const values = embeddedSettings(
    { baseUrl: service.enginesUrl, apiKey: service.enginesKey },
    { url: service.supabaseUrl, serviceRoleKey: service.supabaseKey },
  );
  return { values, sources: new Map(Object.keys(values).map((name) => [name, '`npm start`'])) };
}
