import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { luaError } from '../../support/freeswitch/lua.ts';
import { FreeSwitchDouble, folder } from '../../support/freeswitch/node.ts';
import { elements, parseXml, type XmlElement } from '../../support/freeswitch/xml.ts';
import { apis, applications, events, fileFormats, known } from './known-names.ts';

function files(extension: string): { file: string; source: string }[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(extension))
    .map((file) => ({ file, source: readFileSync(path.join(folder, file), 'utf8') }));
}

const xml = files('.xml');
const lua = files('.lua');
const shell = readdirSync(path.join(folder, 'bin')).map((file) => ({
  file: `bin/${file}`,
  source: readFileSync(path.join(folder, 'bin', file), 'utf8'),
}));

const node = readFileSync(path.join(folder, 'node.xml'), 'utf8');
const settings = new Map(
  [...node.matchAll(/cmd="set" data="(\w+)=([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]),
);
/** What FreeSWITCH sets by itself. */
const own = new Set(['conf_dir']);

function configuration(name: string): XmlElement {
  return parseXml(readFileSync(path.join(folder, 'autoload_configs', `${name}.conf.xml`), 'utf8'));
}

const dialplan = parseXml(readFileSync(path.join(folder, 'dialplan/calls.xml'), 'utf8'));
const streamModules = ['mod_openai_audio_stream', 'mod_audio_stream', 'mod_twilio_stream'];
const loaded = elements(configuration('modules'), 'load').map(({ attributes }) => attributes.module ?? '');
/** On some node: which streaming module it is stands in node.xml. */
const loadable = new Set([...loaded.filter((name) => !name.startsWith('$$')), ...streamModules]);

describe.each(xml)('freeswitch/$file', ({ file, source }) => {
  it('is well-formed', () => {
    expect(() => parseXml(source)).not.toThrow();
  });

  it('has each pre-process instruction on a line of its own', () => {
    for (const line of source.split('\n').filter((each) => /X-PRE-PROCESS/i.test(each))) {
      // FreeSWITCH drops the rest of such a line, the end of a comment too.
      expect(line).toMatch(/^\s*<X-PRE-PROCESS cmd="(?:set|include)" data="[^"]+"\/>$/);
      const include = /cmd="include" data="([^"]+)"/.exec(line)?.[1];
      if (include === undefined) {
        expect(line, 'a blank would end an argument of the scripts').toMatch(/data="\w+=[^"'\s\\]*"/);
      } else {
        const target = path.join(folder, path.dirname(file), include);
        expect(existsSync(include.includes('*') ? path.dirname(target) : target), include).toBe(true);
      }
    }
  });

  it('uses no variable that nothing sets', () => {
    const used = [...source.matchAll(/\$\$\{(\w+)\}/g)].map(([, name = '']) => name);
    expect(used.filter((name) => !settings.has(name) && !own.has(name))).toEqual([]);
  });

  it('has no parameter that FreeSWITCH would pass over in silence', () => {
    const root = parseXml(source);
    const names = known[root.name === 'profile' ? 'profile' : (root.attributes.name ?? '')];
    const params = elements(root, 'param').map(({ attributes }) => attributes.name ?? '');
    expect(params.filter((name) => names?.includes(name) !== true)).toEqual([]);
    expect(new Set(params).size).toBe(params.length);
  });
});

describe('the modules of a node', () => {
  it('are there for each application of the dialplan', () => {
    const used = elements(dialplan, 'action').map(({ attributes }) => attributes.application ?? '');
    const scripted = lua.flatMap(({ source }) =>
      [...source.matchAll(/session:execute\("(\w+)"/g)].map(([, name = '']) => name),
    );
    for (const name of [...used, ...scripted]) expect(loadable, name).toContain(applications[name]);
  });

  it('are there for each command of the scripts', () => {
    const used = lua.flatMap(({ source }) =>
      [...source.matchAll(/(?:\brun|api:execute)\("(\w+)"|command = "(\w+)"/g)].map(
        ([, run, command]) => run ?? command ?? '',
      ),
    );
    const typed = shell.flatMap(({ source }) =>
      [...source.matchAll(/^[^#\n]*\bcli '?"?(\w+)/gm)].map(([, name = '']) => name),
    );
    expect(used.length).toBeGreaterThan(8);
    expect(typed.length).toBeGreaterThan(3);
    for (const name of [...used, ...typed]) expect(loadable, name).toContain(apis[name]);
  });

  it('are there for the codecs, the profile and what is played', () => {
    expect(loadable).toContain('mod_sofia');
    expect(loadable).toContain('mod_dialplan_xml');
    // PCMU and PCMA are in the core.
    for (const codec of settings.get('codecs')?.split(',') ?? []) {
      const module = { OPUS: 'mod_opus', PCMU: 'core', PCMA: 'core' }[codec];
      expect(module === 'core' || loadable.has(module ?? ''), codec).toBe(true);
    }
    const streams = [...xml, ...lua].flatMap(({ source }) => [...source.matchAll(/(\w+_stream):\/\//g)]);
    for (const [, format = ''] of streams) expect(loadable).toContain(fileFormats[format]);
    // What mod_audio_stream writes: raw files, as libsndfile reads them.
    expect(loadable).toContain('mod_sndfile');
  });

  it('are all used, or write what happens', () => {
    const used = new Set([
      ...Object.values(applications),
      ...Object.values(apis),
      ...Object.values(fileFormats),
      ...[
        'mod_console',
        'mod_logfile',
        'mod_event_socket',
        'mod_sofia',
        'mod_dialplan_xml',
        'mod_opus',
        'mod_sndfile',
      ],
    ]);
    expect([...loadable].filter((name) => !used.has(name))).toEqual([]);
    expect(loaded.at(-1)).toBe('mod_sofia');
    expect(loaded).toContain('$${stream_module}');
    expect(streamModules).toContain(settings.get('stream_module'));
  });

  it('have a configuration where one stands here', () => {
    for (const { file } of xml.filter((each) => each.file.startsWith('autoload_configs/'))) {
      const name = path.basename(file, '.conf.xml');
      const core = ['switch', 'acl', 'modules'].includes(name);
      expect(core || loadable.has(`mod_${name}`), file).toBe(true);
    }
  });
});

describe('the scripts', () => {
  it.each(lua)('freeswitch/$file compiles', ({ source, file }) => {
    expect(luaError(source, file)).toBeNull();
  });

  it('are bound to events that FreeSWITCH and the modules have', () => {
    const hooks = elements(configuration('lua'), 'hook').map(({ attributes }) => attributes);
    for (const { event = '', subclass, script = '' } of hooks) {
      expect(existsSync(path.join(folder, script.replace('$${conf_dir}/', ''))), script).toBe(true);
      if (event === 'CUSTOM') expect(Object.values(events).flat()).toContain(subclass);
      else expect(['DTMF', 'CHANNEL_HANGUP_COMPLETE']).toContain(event);
    }
    for (const [module, names] of Object.entries(events)) {
      expect(streamModules).toContain(module);
      expect(names.filter((name) => !hooks.some(({ subclass }) => subclass === name))).toEqual([]);
    }
  });

  it('know each streaming module, and the dialplan has an extension for it', () => {
    const extensions = elements(dialplan, 'condition').map(({ attributes }) => attributes.expression);
    const inLua = new FreeSwitchDouble().evaluate(`
      local names = {}
      for name in pairs(require("stream").modules) do names[#names + 1] = name end
      host("log", table.concat(names, " "))
    `);
    expect(inLua.split(' ').sort()).toEqual([...streamModules].sort());
    for (const module of streamModules) expect(extensions).toContain(`^${module}$`);
  });

  it('and the other files use each setting of node.xml', () => {
    const all = [...xml.filter(({ file }) => file !== 'node.xml'), ...lua, ...shell];
    for (const name of settings.keys()) {
      expect(
        all.some(({ source }) => source.includes(name)),
        name,
      ).toBe(true);
    }
  });
});

describe('the security of a node', () => {
  it('holds: mod_curl, which sends the node’s token, asks for certificates', () => {
    const params = elements(configuration('curl'), 'param').map(({ attributes }) => attributes);
    expect(params).toEqual([{ name: 'validate-certs', value: 'true' }]);
  });

  it.each(['logfile', 'console'])('holds: %s keeps no caller’s number', (name) => {
    const maps = elements(configuration(name), 'map').map(({ attributes }) => attributes);
    // The notices of FreeSWITCH name a channel `sofia/calls/+49…@…`; the scripts' lines come from its function console_log.
    expect(maps).toEqual([
      { name: 'all', value: 'warning,err,crit,alert' },
      { name: 'console_log', value: 'notice' },
    ]);
  });

  it('holds: a node behind NAT names its address outside for RTP, also to a proxy of its own network', () => {
    const profile = new Map(
      elements(parseXml(readFileSync(path.join(folder, 'sip_profiles/calls.xml'), 'utf8')), 'param').map(
        ({ attributes }) => [attributes.name, attributes.value],
      ),
    );
    expect(profile.get('ext-rtp-ip')).toBe('$${node_public_address}');
    const nobody = elements(configuration('acl'), 'list').find(
      ({ attributes }) => attributes.name === profile.get('local-network-acl'),
    );
    expect(nobody).toMatchObject({ attributes: { default: 'deny' }, children: [] });
  });

  it('holds: the event socket is this machine’s, calls come from the proxies, no secret is in the repository', () => {
    const socket = Object.fromEntries(
      elements(configuration('event_socket'), 'param').map(({ attributes }) => [
        attributes.name,
        attributes.value,
      ]),
    );
    expect(socket).toMatchObject({ 'listen-ip': '127.0.0.1', 'apply-inbound-acl': 'loopback.auto' });
    const [list] = elements(configuration('acl'), 'list');
    expect(list?.attributes).toEqual({ name: 'proxies', default: 'deny' });
    for (const name of ['node_token', 'event_socket_password']) expect(settings.get(name)).toBe('CHANGE-ME');
  });
});
