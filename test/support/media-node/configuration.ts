import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { folder as shipped } from '../freeswitch/node.ts';

/** Who is called under a number of `numbers.list`. */
export interface OwnNumber {
  number: string;
  userId: string;
  campaignId?: string;
}

/**
 * Copies the shipped configuration to `conf`, as its README says, and fills in what differs from node to node: values of `node.xml` by their
 * names, and the numbers. @throws {Error} if `node.xml` has no setting of a name.
 */
export function writeConfiguration(
  conf: string,
  settings: Readonly<Record<string, string>>,
  numbers: readonly OwnNumber[],
): void {
  cpSync(shipped, conf, { recursive: true });
  const file = join(conf, 'node.xml');
  let xml = readFileSync(file, 'utf8');
  for (const [name, value] of Object.entries(settings)) {
    const setting = new RegExp(`data="${name}=[^"]*"`);
    if (!setting.test(xml)) throw new Error(`node.xml has no setting ${name}`);
    xml = xml.replace(setting, () => `data="${name}=${value}"`);
  }
  writeFileSync(file, xml);
  const lines = numbers.map(({ number, userId, campaignId }) => `${number} ${userId} ${campaignId ?? '-'}\n`);
  writeFileSync(join(conf, 'numbers.list'), lines.join(''));
}

/** FreeSWITCH's global variables, as `node.xml` sets them. */
export function readGlobals(conf: string): Record<string, string> {
  const xml = readFileSync(join(conf, 'node.xml'), 'utf8');
  const settings = xml.matchAll(/^\s*<X-PRE-PROCESS cmd="set" data="([^"=]+)=([^"]*)"\/>\s*$/gm);
  return Object.fromEntries([
    ...[...settings].map(([, name = '', value = '']) => [name, value]),
    ['conf_dir', conf],
  ]);
}
