import { aboveBackground, type BackgroundOptions } from './background.ts';
import { withoutTones } from './tones.ts';
import type { VoiceActivityDetector, VoiceActivityFactory, VoiceActivityMode } from './voice-activity.ts';

export interface LineDetectorOptions extends BackgroundOptions {
  /** As {@link VoiceActivityMode}. */
  mode?: VoiceActivityMode;
}

/** The detector that a call's line is heard with: to it neither tones nor the caller's background are voice. */
export function lineDetector(
  detectors: VoiceActivityFactory,
  sampleRate: 8000 | 16000,
  { mode, ...background }: LineDetectorOptions = {},
): VoiceActivityDetector {
  const voice = detectors.create({ sampleRate, ...(mode === undefined ? {} : { mode }) });
  return aboveBackground(withoutTones(voice, sampleRate), sampleRate, background);
}
