import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config.ts';

describe('the settings of a recording', () => {
  it('are the contract’s, unless others are set', () => {
    expect(loadConfig({})).toMatchObject({ RECORDING_CHANNELS: 1, RECORDING_FORMAT: 'wav' });
    expect(loadConfig({ RECORDING_CHANNELS: '', RECORDING_FORMAT: ' ' })).toMatchObject({
      RECORDING_CHANNELS: 1,
      RECORDING_FORMAT: 'wav',
    });
    expect(loadConfig({ RECORDING_CHANNELS: '2', RECORDING_FORMAT: 'ogg-opus' })).toMatchObject({
      RECORDING_CHANNELS: 2,
      RECORDING_FORMAT: 'ogg-opus',
    });
  });

  it.each([{ RECORDING_CHANNELS: '3' }, { RECORDING_CHANNELS: 'two' }, { RECORDING_FORMAT: 'mp3' }])(
    'are refused as %j, by name',
    (settings) => {
      expect(() => loadConfig(settings)).toThrow(Object.keys(settings)[0]);
    },
  );
});
