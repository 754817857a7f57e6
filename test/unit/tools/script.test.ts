import { describe, expect, test } from 'vitest';
import { parseCallArguments, UsageError } from '../../../tools/caller/arguments.ts';
import { parseScript, ScriptError } from '../../../tools/caller/script.ts';
import { parseStartArguments, StartUsageError } from '../../../tools/service/start-arguments.ts';

describe('a script', () => {
  test('is read step by step', () => {
    const steps = parseScript(
      '[{"say":"Hi","expect":"hello|hi"},{"pause":200},{"dtmf":"12#"},{"wav":"a.wav","wait":false},{"expect":"x"}]',
    );
    expect(steps).toEqual([
      { say: 'Hi', expect: 'hello|hi', wait: true },
      { pause: 200 },
      { dtmf: '12#' },
      { wav: 'a.wav', wait: false },
      { expect: 'x' },
    ]);
  });

  test.each([
    ['no JSON', 'say hello', /not JSON/],
    ['no array', '{"say":"Hi"}', /it /],
    ['nothing to do', '[]', /it /],
    ['a step that says two things', '[{"say":"Hi","wav":"a.wav"}]', /step 1/],
    ['a misspelt step', '[{"say":"Hi"},{"sya":"Hi"}]', /step 2/],
    ['a key that no telephone has', '[{"dtmf":"12x"}]', /step 1/],
    ['an expression that is none', '[{"say":"Hi"},{"expect":"("}]', /step 2/],
    ['a pause without end', '[{"pause":1e12}]', /step 1/],
    ['too many steps', JSON.stringify(Array.from({ length: 501 }, () => ({ pause: 1 }))), /it /],
  ])('is refused with the place: %s', (_, json, message) => {
    expect(() => parseScript(json)).toThrow(ScriptError);
    expect(() => parseScript(json)).toThrow(message);
  });
});

describe('the command line of npm run call', () => {
  test('keeps what is to be said in its order, of different kinds', () => {
    const { what } = parseCallArguments(['--say', 'one', '--wav', 'b.wav', '--say', 'three']);
    expect(what).toEqual([
      { kind: 'say', value: 'one' },
      { kind: 'wav', value: 'b.wav' },
      { kind: 'say', value: 'three' },
    ]);
  });

  test('has the defaults of a telephone', () => {
    expect(parseCallArguments(['--say', 'Hi'])).toMatchObject({
      transport: 'json',
      encoding: 'mulaw',
      rate: 8000,
      user: 'caller',
      timeout: 30,
      json: false,
    });
  });

  test.each([
    ['nothing to say', []],
    ['an option that does not exist', ['--say', 'Hi', '--volume', '11']],
    ['a URL of another kind', ['--say', 'Hi', '--url', 'http://localhost:8787']],
    ['a rate that no leg has', ['--say', 'Hi', '--rate', '44100']],
    ['an id with a path in it', ['--say', 'Hi', '--call-id', '../../etc']],
    ['a wait without end', ['--say', 'Hi', '--timeout', '1e9']],
    ['an argument out of place', ['Hi']],
  ])('refuses %s', (_, args) => {
    expect(() => parseCallArguments(args)).toThrow(UsageError);
  });
});

describe('the command line of npm start', () => {
  test('listens on 8787 and stays, unless told otherwise', () => {
    expect(parseStartArguments([])).toMatchObject({
      port: 8787,
      once: false,
      data: '.data',
      'no-call': false,
    });
    expect(parseStartArguments(['--once', '--port', '0', '--data', 'x'])).toMatchObject({
      port: 0,
      once: true,
      data: 'x',
    });
  });

  test.each([
    [['--port', '65536']],
    [['--port', 'http']],
    [['--forever']],
    [['--once', '--no-call']],
    [['--data', '']],
  ])('refuses %j', (args) => {
    expect(() => parseStartArguments(args)).toThrow(StartUsageError);
  });
});
