import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { dialects } from '../../../src/dialects/registry.ts';
import { ConsentError, LoadUsageError, parseLoadArguments } from '../../../tools/load/arguments.ts';
import { deploymentOf, shownUrl } from '../../../tools/load/deployment.ts';

describe('the command line', () => {
  test('has a default for everything', () => {
    expect(parseLoadArguments([])).toMatchObject({
      calls: 10,
      minutes: 1,
      dialect: 'native',
      ramp: 1,
      'call-seconds': 120,
      talk: 0.5,
      rate: 8000,
      user: ['load-1'],
      processes: 1,
    });
  });

  test('gives each user no more calls than a user may have', () => {
    expect(parseLoadArguments(['--calls', '100']).user).toEqual(['load-1', 'load-2', 'load-3']);
    expect(parseLoadArguments(['--calls', '100', '--user', 'a', '--user', 'b']).user).toEqual(['a', 'b']);
  });

  test('never starts more processes than there are cores', () => {
    expect(parseLoadArguments(['--calls', '20000']).processes).toBe(availableParallelism());
  });

  test('knows every dialect', () => {
    // `call-session` is the native one; `auto` is none of its own.
    const wired = dialects
      .map(({ path }) => path)
      .filter((path) => path !== 'call-session' && path !== 'auto');
    for (const dialect of wired) expect(parseLoadArguments(['--dialect', dialect]).dialect).toBe(dialect);
    expect(wired.length).toBeGreaterThan(5);
  });

  test.each([
    [['--calls', '0'], '--calls'],
    [['--calls', '1.5'], '--calls'],
    [['--calls', '20001'], '--calls'],
    [['--minutes', 'long'], '--minutes'],
    [['--minutes', '100000'], '--minutes'],
    [['--talk', '1'], '--talk'],
    [['--ramp', '-1'], '--ramp'],
    [['--call-seconds', '1'], '--call-seconds'],
    [['--dialect', 'sip'], '--dialect'],
    [['--dialect', 'twilio', '--rate', '16000'], '--rate'],
    [['--dialect', 'twilio', '--transport', 'binary'], '--transport'],
    [['--seed', '4294967296'], '--seed'],
    [['--token', 'two\nlines'], '--token'],
    [['--processes', '1000'], '--processes'],
    [['--say', ''], '--say'],
    [['--force'], '--force'],
    [['stray'], 'stray'],
  ])('refuses %j', (args, named) => {
    const parse = () => parseLoadArguments(args);
    expect(parse).toThrow(LoadUsageError);
    expect(parse).toThrow(named);
  });
});

function urlOf(url: string | null, ...more: string[]): string {
  const args = url === null ? more : ['--url', url, ...more];
  return deploymentOf(parseLoadArguments(args), null).href;
}

describe('what is called', () => {
  test('is what runs here, at the path of the dialect', () => {
    expect(urlOf(null)).toBe('ws://localhost:8787/ws/call-session');
    expect(urlOf(null, '--dialect', 'twilio')).toBe('ws://localhost:8787/ws/twilio');
    const options = parseLoadArguments([]);
    expect(deploymentOf(options, 'http://127.0.0.1:9000').href).toBe('ws://127.0.0.1:9000/ws/call-session');
    expect(urlOf('ws://localhost:1234/my/path?x=1')).toBe('ws://localhost:1234/my/path?x=1');
  });

  test.each([
    'ws://localhost:8787/',
    'ws://LOCALHOST:8787/',
    'ws://127.0.0.1/',
    'ws://127.255.0.9/',
    'ws://[::1]:8787/',
    // As the parser, and so the client, has them: 127.0.0.1.
    'ws://2130706433/',
    'ws://0x7f.1/',
    'ws://0177.0.0.1/',
    'ws://127.1/',
  ])('%s is this machine', (url) => {
    expect(() => urlOf(url)).not.toThrow();
  });

  test.each([
    'wss://calls.example.com/ws/call-session',
    'wss://127.0.0.1.example.com/',
    'wss://localhost.example.com/',
    'wss://localhost./',
    'wss://notlocalhost/',
    'wss://foo.localhost/',
    'ws://0.0.0.0/',
    'ws://10.0.0.1/',
    'ws://134744072/',
    'ws://128.0.0.1/',
    'ws://[::ffff:8.8.8.8]/',
    'ws://[::]/',
    'ws://[fe80::1]/',
    'ws://example.com/?host=localhost',
    'ws://example.com/#@localhost',
    'ws://example.com\\@localhost/',
  ])('%s needs its owner’s word', (url) => {
    expect(() => urlOf(url)).toThrow(ConsentError);
    expect(() => urlOf(url)).toThrow('--i-own-this-deployment');
    expect(() => urlOf(url, '--i-own-this-deployment')).not.toThrow();
  });

  test.each([
    'ws://localhost@example.com/',
    'ws://127.0.0.1:8787@example.com/',
    'ws://user:secret@localhost/',
    'http://localhost/',
    'file:///etc/passwd',
    'localhost:8787',
    'wss://',
  ])('%s is refused, whoever owns it', (url) => {
    const parse = () => urlOf(url, '--i-own-this-deployment');
    expect(parse).toThrow(LoadUsageError);
    expect(parse).toThrow('--url');
  });

  test('is shown without what may be secret', () => {
    const url = deploymentOf(parseLoadArguments(['--url', 'ws://localhost/ws/twilio?token=secret']), null);
    expect(shownUrl(url)).toBe('ws://localhost/ws/twilio');
  });
});
