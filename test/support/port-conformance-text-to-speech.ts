import { describe, expect, it } from 'vitest';
import type { TextToSpeech, TextToSpeechEvent } from '../../src/providers/ports.ts';
import {
  arrivals,
  collect,
  eventually,
  expectFailure,
  failureOf,
  type Subject,
  subjects,
  type VendorFault,
  vendorFaults,
  when,
} from './port-conformance.ts';

/** What the vendor does with every sentence. */
export type VoiceBehaviour =
  | VendorFault
  /** Speaks; a sentence that begins with {@link STALLING} only in part, until it is released. */
  | 'speaks'
  /** Speaks the beginning, and cuts the line. */
  | 'breaksOff'
  /** Says that it has spoken, without audio. */
  | 'empty';

export const STALLING = 'Wait';
/** A vendor that cannot be told to stop in the middle has not spoken so much when its first audio is heard. */
const more = 'There is more to come. '.repeat(20);

export interface TextToSpeechSubject extends Subject {
  textToSpeech: TextToSpeech;
  voice: string;
  /** How many samples the vendor's audio of a text has, at a rate: different texts of this suite, different numbers. */
  samplesOf(text: string, sampleRate: 8000 | 16000): number | Promise<number>;
  /** Goes on with what stalls, although it may have been cancelled. */
  release(): void;
}

/** Samples that a converter of rates may hold back or add. */
const TOLERANCE = 96;

/**
 * The contract of `TextToSpeech`.
 *
 * @param start makes one with a vendor that behaves so.
 * @param can which behaviours it can have. Default: all.
 */
export function describeTextToSpeech(
  name: string,
  start: (behaviour: VoiceBehaviour) => Promise<TextToSpeechSubject>,
  can: (behaviour: VoiceBehaviour) => boolean = () => true,
): void {
  describe(`text to speech: ${name}`, () => {
    const begin = subjects(start);

    function speak(
      { textToSpeech, voice }: TextToSpeechSubject,
      text: string,
      signal = new AbortController().signal,
      sampleRate: 8000 | 16000 = 8000,
    ) {
      return collect(textToSpeech.speak({ text, voice, sampleRate }, signal));
    }

    async function expectSpoken(
      subject: TextToSpeechSubject,
      said: { seen: TextToSpeechEvent[]; error: unknown },
      text: string,
      sampleRate: 8000 | 16000 = 8000,
    ): Promise<void> {
      expect(said.error).toBeNull();
      const expected = await subject.samplesOf(text, sampleRate);
      expect(Math.abs(lengthOf(said.seen) - expected)).toBeLessThanOrEqual(TOLERANCE);
    }

    it.each([8000, 16_000] as const)('speaks at the rate that is asked for: %i Hz', async (sampleRate) => {
      const subject = await begin('speaks');
      const said = speak(subject, 'Good morning, how are you?', undefined, sampleRate);
      await said.done;
      await expectSpoken(subject, said, 'Good morning, how are you?', sampleRate);
      for (const event of said.seen)
        if (event.type === 'audio') expect(event.samples.length).toBeGreaterThan(0);
    });

    it('tells once how many characters are charged, and by whom', async () => {
      const subject = await begin('speaks');
      const said = speak(subject, 'Good morning.');
      await said.done;
      const usages = said.seen.flatMap((event) => (event.type === 'usage' ? [event.usage] : []));
      for (const { provider } of usages) expect(provider).toMatch(/^[a-z0-9-]+\/\S/);
      const characters = usages.flatMap((usage) => usage.characters ?? []);
      expect(characters).toEqual(['Good morning.'.length]);
    });

    it('speaks sentence after sentence, each with its own audio', async () => {
      const subject = await begin('speaks');
      for (const text of ['One.', 'The second one is longer.', 'And a third.']) {
        const said = speak(subject, text);
        await said.done;
        await expectSpoken(subject, said, text);
      }
    });

    it('speaks two sentences that are asked for at once, each with its own audio', async () => {
      const subject = await begin('speaks');
      const texts = ['The first of two.', 'The second of them is longer by far.'];
      const both = texts.map((text) => speak(subject, text));
      for (const [i, said] of both.entries()) {
        await said.done;
        await expectSpoken(subject, said, texts[i]!);
      }
    });

    it('ends quietly when the signal fires; nothing of that sentence gets into the next', async () => {
      const subject = await begin('speaks');
      const abort = new AbortController();
      const cancelled = speak(subject, `${STALLING} until I have told you all of it. ${more}`, abort.signal);
      await eventually(() => lengthOf(cancelled.seen) > 0 || cancelled.over);
      expect(cancelled.over).toBe(false);
      abort.abort();
      await cancelled.done;
      expect(cancelled.error).toBeNull();
      const { length } = cancelled.seen;
      const next = speak(subject, 'Something else.');
      await arrivals();
      subject.release();
      await next.done;
      await expectSpoken(subject, next, 'Something else.');
      expect(cancelled.seen).toHaveLength(length);
      subject.textToSpeech.close?.();
      await eventually(() => subject.open() === 0);
    });

    it('speaks on when another sentence is cancelled', async () => {
      const subject = await begin('speaks');
      const abort = new AbortController();
      const cancelled = speak(subject, `${STALLING} for the other one. ${more}`, abort.signal);
      await eventually(() => lengthOf(cancelled.seen) > 0 || cancelled.over);
      const other = speak(subject, 'I am the other one.');
      await arrivals();
      abort.abort();
      subject.release();
      await cancelled.done;
      await other.done;
      expect(cancelled.error).toBeNull();
      await expectSpoken(subject, other, 'I am the other one.');
    });

    when(can('silent'))(
      'ends quietly when the signal fires before any audio, and lets go of everything',
      async () => {
        const subject = await begin('silent');
        const abort = new AbortController();
        const said = speak(subject, 'Nobody hears this.', abort.signal);
        await eventually(() => subject.made() > 0);
        abort.abort();
        await said.done;
        expect([said.error, lengthOf(said.seen)]).toEqual([null, 0]);
        subject.textToSpeech.close?.();
        await eventually(() => subject.open() === 0);
      },
    );

    it('speaks nothing for a turn that is over already', async () => {
      const subject = await begin('speaks');
      const said = speak(subject, 'Too late.', AbortSignal.abort());
      await said.done;
      await arrivals();
      expect([said.error, said.seen]).toEqual([null, []]);
      const next = speak(subject, 'In time.');
      await next.done;
      await expectSpoken(subject, next, 'In time.');
    });

    it('goes on with the next sentence when nobody wanted the rest of the last', async () => {
      const subject = await begin('speaks');
      const { voice } = subject;
      const text = `${STALLING}, I am not done. ${more}`;
      const signal = new AbortController().signal;
      for await (const event of subject.textToSpeech.speak({ text, voice, sampleRate: 8000 }, signal)) {
        if (event.type === 'audio') break;
      }
      const next = speak(subject, 'The next.');
      await arrivals();
      subject.release();
      await next.done;
      await expectSpoken(subject, next, 'The next.');
    });

    it('leaves no connection when it is closed, used or not, and can be closed twice', async () => {
      const subject = await begin('speaks');
      subject.textToSpeech.warm?.({ voice: subject.voice, sampleRate: 8000 });
      const said = speak(subject, 'Hello.');
      await said.done;
      subject.textToSpeech.warm?.({ voice: subject.voice, sampleRate: 8000 });
      subject.textToSpeech.close?.();
      subject.textToSpeech.close?.();
      await eventually(() => subject.open() === 0);
      await arrivals();
      expect(subject.open()).toBe(0);
    });

    when(can('breaksOff'))('fails behind what it has spoken when the line is cut', async () => {
      const subject = await begin('breaksOff');
      const said = speak(subject, 'This is not heard to its end.');
      await said.done;
      expect(lengthOf(said.seen)).toBeGreaterThan(0);
      expectFailure(said.error, 'unavailable');
    });

    when(can('empty'))('fails where the vendor says nothing and calls it speech', async () => {
      const said = speak(await begin('empty'), 'Anybody there?');
      await said.done;
      expectFailure(said.error, 'malformed');
    });

    it.each(vendorFaults.filter(can))('fails in the ports’ own terms, without a sound: %s', async (fault) => {
      const subject = await begin(fault);
      const said = speak(subject, 'Anybody there?');
      await said.done;
      expectFailure(said.error, failureOf[fault]);
      expect(lengthOf(said.seen)).toBe(0);
      subject.textToSpeech.close?.();
      await eventually(() => subject.open() === 0);
    });
  });
}

function lengthOf(events: readonly TextToSpeechEvent[]): number {
  return events.reduce((sum, event) => sum + (event.type === 'audio' ? event.samples.length : 0), 0);
}
