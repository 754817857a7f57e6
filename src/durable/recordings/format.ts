import type { StartedCallFacts } from '../../call/events.ts';

/** Rate of a recording, by the contract: 8 kHz. */
export const recordingRate = 8000;

/** `RECORDING_FORMAT`: 16-bit WAV (the contract's), μ-law WAV at half its size, Ogg Opus at about an eighth. */
export const recordingFormats = ['wav', 'mulaw-wav', 'ogg-opus'] as const;
export type RecordingFormat = (typeof recordingFormats)[number];

/** `RECORDING_CHANNELS`: 1, both sides mixed (the contract's), or 2, the caller left and the agent right. */
export const recordingChannels = [1, 2] as const;
export type RecordingChannels = (typeof recordingChannels)[number];

/** What the settings say of a recording. */
export interface RecordingShape {
  format: RecordingFormat;
  channels: RecordingChannels;
}

/** RFC 7845 §9 for Ogg Opus. */
const files: Record<RecordingFormat, { extension: string; contentType: string }> = {
  wav: { extension: 'wav', contentType: 'audio/wav' },
  'mulaw-wav': { extension: 'wav', contentType: 'audio/wav' },
  'ogg-opus': { extension: 'opus', contentType: 'audio/ogg; codecs=opus' },
};

export function recordingContentType(format: RecordingFormat): string {
  return files[format].contentType;
}

/**
 * Object key of a call's recording: the day is that of the call's start, in UTC.
 *
 * @param rowId the call's id in the database: unlike the call id, which may be used again, it names one call only.
 *   Path-safe by the schema of call ids.
 */
export function recordingKey(
  rowId: string,
  startTime: StartedCallFacts['startTime'],
  format: RecordingFormat,
): string {
  const [year, month, day] = new Date(startTime).toISOString().slice(0, 10).split('-');
  return `recordings/${year}/${month}/${day}/${rowId}.${files[format].extension}`;
}
