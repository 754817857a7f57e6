import { spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { heartbeatSchema } from '../../../src/metrics/nodes.ts';
import { folder } from '../../support/freeswitch/node.ts';

const token = `ach_node_${'x'.repeat(43)}`;
const status =
  '{"command":"status","data":"","status":"success","response":{"systemStatus":"ready","uptime":{"years":0,"seconds":30},"version":"1.11.1-release","sessions":{"count":{"total":9,"active":7,"peak":8,"peak5Min":8,"limit":1200},"rate":{"current":2,"max":60,"peak":3,"peak5Min":3}},"idleCPU":{"used":0,"allowed":81.27},"stackSizeKB":{"current":240,"max":8192}}}';

let dir: string;
let server: Server;
let answer = 204;
const requests: { url: string; authorization: string; body: string }[] = [];

/** What fs_cli answers, by the beginning of the command. */
function freeSwitch(answers: Record<string, string>): void {
  const cases = Object.entries(answers).map(
    ([command, text]) => `'${command}'*) printf '%s\\n' '${text}' ;;`,
  );
  const script = `#!/bin/sh\nprintf '%s\\n' "$*" >>"${dir}/commands"\nfor last; do :; done\ncase $last in\n${cases.join('\n')}\n*) exit 255 ;;\nesac\n`;
  writeFileSync(path.join(dir, 'path/fs_cli'), script);
  chmodSync(path.join(dir, 'path/fs_cli'), 0o755);
  writeFileSync(path.join(dir, 'commands'), '');
}

const well = {
  'sofia status': 'BIND-URL \t sip:mod_sofia@127.0.0.1',
  module_exists: 'true',
  'fsctl pause_check': 'false',
  'fsctl pause inbound': '+OK',
  'show channels count': '0 total.',
  json: status,
};

function run(script: string, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(path.join(dir, 'conf/bin', script), args, {
      env: { PATH: `${dir}/path:${process.env.PATH}`, FREESWITCH_CONF: `${dir}/conf` },
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (err += data));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'freeswitch-bin-'));
  mkdirSync(path.join(dir, 'path'));
  const timeout = `#!/bin/sh\necho "$1" >>"${dir}/timeouts"\nshift\nexec "$@"\n`;
  writeFileSync(path.join(dir, 'path/timeout'), timeout, { mode: 0o755 });
  // Nobody waits here.
  writeFileSync(path.join(dir, 'path/sleep'), '#!/bin/sh\n', { mode: 0o755 });
  cpSync(folder, path.join(dir, 'conf'), { recursive: true });
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (data) => (body += data));
    request.on('end', () => {
      requests.push({ url: request.url ?? '', authorization: request.headers.authorization ?? '', body });
      response.writeHead(answer).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const file = path.join(dir, 'conf/node.xml');
  const service = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const node = readFileSync(file, 'utf8')
    .replace(/service=[^"]*"/, `service=${service}"`)
    .replace(/node_token=[^"]*"/, `node_token=${token}"`)
    .replace(/event_socket_password=[^"]*"/, 'event_socket_password=pass-1"');
  writeFileSync(file, node);
});
afterAll(() => {
  server.close();
  rmSync(dir, { recursive: true });
});
beforeEach(() => {
  requests.length = 0;
  answer = 204;
  freeSwitch(well);
});

const sent = () => heartbeatSchema.parse(JSON.parse(requests[0]?.body ?? ''));

describe('bin/heartbeat', () => {
  it('tells the service state and load, as the service takes them, with the node’s token', async () => {
    expect(await run('heartbeat')).toEqual({ code: 0, out: '', err: '' });
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({
      url: '/api/v1/nodes/heartbeat',
      authorization: `Bearer ${token}`,
    });
    expect(sent()).toMatchObject({
      state: 'up',
      calls: 7,
      maxCalls: 1_200,
      callsPerSecond: 2,
      idleCpu: 81.27,
    });
    const commands = readFileSync(path.join(dir, 'commands'), 'utf8');
    expect(commands).toContain('-H 127.0.0.1 -P 8021 -p pass-1 -x json ');
    expect(commands).not.toContain(token);
  });

  it('says that a node is drained', async () => {
    freeSwitch({ ...well, 'fsctl pause_check': 'true' });
    await run('heartbeat');
    expect(sent().state).toBe('draining');
  });

  it('says that FreeSWITCH is gone, or lacks its streaming module', async () => {
    freeSwitch({});
    expect((await run('heartbeat')).err).toContain('The SIP profile does not run.');
    expect(sent()).toMatchObject({ state: 'failing', calls: 0, idleCpu: 0 });
    requests.length = 0;
    freeSwitch({ ...well, module_exists: 'false' });
    expect((await run('heartbeat')).err).toContain('mod_openai_audio_stream is not loaded.');
    expect(sent()).toMatchObject({ state: 'failing', calls: 7 });
  });

  it('says so before systemd ends it, if FreeSWITCH hangs', async () => {
    freeSwitch({});
    writeFileSync(path.join(dir, 'timeouts'), '');
    await run('heartbeat');
    const waits = readFileSync(path.join(dir, 'timeouts'), 'utf8').trim().split('\n').map(Number);
    const secondsIn = (file: string, pattern: RegExp) =>
      Number(pattern.exec(readFileSync(path.join(folder, file), 'utf8'))?.[1]);
    const request = secondsIn('bin/heartbeat', /--max-time (\d+)/);
    const all = waits.reduce((sum, seconds) => sum + seconds, request);
    expect(waits.length).toBeGreaterThan(0);
    expect(all).toBeLessThan(secondsIn('system/heartbeat.service', /TimeoutStartSec=(\d+)/));
  });

  it('fails where the service does not take it', async () => {
    answer = 401;
    const { code, err } = await run('heartbeat');
    expect(code).not.toBe(0);
    expect(err).toContain('401');
    expect(err).not.toContain(token);
  });
});

describe('bin/drain', () => {
  it('pauses, and says whether calls are left', async () => {
    expect(await run('drain')).toMatchObject({ code: 0, out: 'Drained: 0 calls.\n' });
    expect(readFileSync(path.join(dir, 'commands'), 'utf8')).toContain('fsctl pause inbound');
    freeSwitch({ ...well, 'show channels count': '3 total.' });
    expect(await run('drain')).toMatchObject({ code: 0, out: 'Drained: 3 calls.\n' });
    expect(await run('drain', '1')).toMatchObject({ code: 1, out: 'Drained: 3 calls.\n' });
  });

  it('fails where FreeSWITCH does not answer', async () => {
    freeSwitch({});
    expect(await run('drain')).toMatchObject({ code: 1, err: 'FreeSWITCH does not answer.\n' });
  });
});

describe('bin/stop', () => {
  const given = () =>
    readFileSync(path.join(dir, 'commands'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.replace(/^.* -x /, ''));

  it('ends FreeSWITCH once no call is left', async () => {
    freeSwitch({ ...well, 'fsctl shutdown': '+OK' });
    expect((await run('stop')).code).toBe(0);
    expect(given()).toEqual(['fsctl pause inbound', 'show channels count', 'fsctl shutdown']);
  });

  it('hangs up what is left while there are still scripts that tell of it', async () => {
    freeSwitch({
      ...well,
      'show channels count': '3 total.',
      hupall: '+OK',
      'fsctl shutdown': '+OK',
    });
    expect(await run('stop', '1')).toMatchObject({
      code: 0,
      err: 'Some calls are left and are cut off.\n',
    });
    expect(given().slice(-2)).toEqual(['hupall MANAGER_REQUEST', 'fsctl shutdown']);
  });
});
