import { describe, expect, it } from 'vitest';
import type { SpeechToText, SpeechToTextEvent, SpeechToTextOptions } from '../../src/providers/ports.ts';
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
} from './port-conformance.ts';

export interface SpeechToTextSubject extends Subject {
  speechToText: SpeechToText;
  /**
   * What the vendor understands as the n-th text, from 0 to 7, some 200 to 1,500 ms of it. Where the vendor understands by the
   * order of utterances, the n-th that ends.
   */
  speech(number: number, sampleRate: 8000 | 16000): { samples: Int16Array; text: string };
}

/**
 * The contract of `SpeechToText`.
 *
 * @param start makes one with a vendor that is well, or has the fault.
 * @param can which faults it can have. Default: all.
 */
export function describeSpeechToText(
  name: string,
  start: (fault: VendorFault | null) => Promise<SpeechToTextSubject>,
  can: (fault: VendorFault) => boolean = () => true,
): void {
  describe(`speech to text: ${name}`, () => {
    const begin = subjects(start);

    async function call(fault: VendorFault | null = null, options: Partial<SpeechToTextOptions> = {}) {
      const subject = await begin(fault);
      const hangUp = new AbortController();
      const sampleRate = options.sampleRate ?? 8000;
      const session = subject.speechToText.open({
        sampleRate,
        language: 'en',
        signal: hangUp.signal,
        ...options,
      });
      const heard = collect(session.events);
      const results = () => heard.seen.filter(isResult);
      return {
        subject,
        session,
        heard,
        results,
        /** Hangs up, and sees that nothing is left behind. */
        async end(): Promise<void> {
          const { length } = heard.seen;
          hangUp.abort();
          await heard.done;
          expect(heard.error).toBeNull();
          expect(heard.seen.length).toBe(length);
          subject.speechToText.close?.();
          await eventually(() => subject.open() === 0);
        },
        push(number: number): void {
          const { samples } = subject.speech(number, sampleRate);
          const frame = sampleRate / 50;
          for (let at = 0; at < samples.length; at += frame) {
            const sent = samples.slice(at, at + frame);
            session.push(sent);
            // Nobody may keep it.
            sent.fill(0x7abc);
          }
        },
        say(number: number): number {
          this.push(number);
          session.pause();
          return session.endUtterance();
        },
        text: (number: number) => subject.speech(number, sampleRate).text,
        settled: (count: number) => eventually(() => results().length >= count || heard.over),
      };
    }

    it.each([8000, 16_000] as const)(
      'tells one text for each utterance, numbered from 0, at %i Hz',
      async (sampleRate) => {
        const one = await call(null, { sampleRate });
        for (let i = 0; i < 3; i++) {
          expect(one.say(i)).toBe(i);
          await one.settled(i + 1);
        }
        expect(one.results().map(plain)).toEqual([0, 1, 2].map((i) => `${i} ${plainText(one.text(i))}`));
        await one.end();
      },
    );

    it('tells the texts in the order of the utterances, when they end before any text is there', async () => {
      const one = await call();
      for (let i = 0; i < 4; i++) expect(one.say(i)).toBe(i);
      await one.settled(4);
      await arrivals();
      expect(one.results().map(plain)).toEqual([0, 1, 2, 3].map((i) => `${i} ${plainText(one.text(i))}`));
      await one.end();
    });

    it('does not end an utterance at a pause', async () => {
      const one = await call();
      const { samples } = one.subject.speech(0, 8000);
      one.session.push(samples);
      one.session.pause();
      await arrivals();
      one.session.push(new Int16Array(800));
      one.session.pause();
      await arrivals();
      expect(one.results()).toEqual([]);
      expect(one.session.endUtterance()).toBe(0);
      await one.settled(1);
      expect(one.results().map(plain)).toEqual([`0 ${plainText(one.text(0))}`]);
      await one.end();
    });

    it('tells interim texts of utterances to come only, and never of one that is final', async () => {
      const one = await call();
      one.say(0);
      one.say(1);
      await one.settled(2);
      await arrivals();
      let settled = 0;
      for (const event of one.heard.seen) {
        if (event.type === 'interim') expect(event.utterance).toBeGreaterThanOrEqual(settled);
        if (isResult(event)) settled++;
      }
      await one.end();
    });

    it('tells nothing of what is discarded, and gives its number to the next', async () => {
      const one = await call();
      one.push(7);
      one.session.pause();
      one.session.discardUtterance();
      await arrivals();
      const shown = one.heard.seen.filter((event) => event.type !== 'usage');
      expect(shown).toEqual([]);
      expect(one.say(0)).toBe(0);
      one.push(7);
      one.session.discardUtterance();
      expect(one.say(1)).toBe(1);
      await one.settled(2);
      await arrivals();
      expect(one.results().map(plain)).toEqual([0, 1].map((i) => `${i} ${plainText(one.text(i))}`));
      await one.end();
    });

    it('discards nothing where nothing was spoken', async () => {
      const one = await call();
      one.session.discardUtterance();
      one.session.pause();
      one.session.discardUtterance();
      expect(one.say(0)).toBe(0);
      await one.settled(1);
      expect(one.results().map(plain)).toEqual([`0 ${plainText(one.text(0))}`]);
      await one.end();
    });

    it('tells an empty text of an utterance without audio', async () => {
      const one = await call();
      expect(one.say(0)).toBe(0);
      expect(one.session.endUtterance()).toBe(1);
      expect(one.say(1)).toBe(2);
      await one.settled(3);
      expect(one.results().map(plain)).toEqual([
        `0 ${plainText(one.text(0))}`,
        '1 ',
        `2 ${plainText(one.text(1))}`,
      ]);
      await one.end();
    });

    it('tells a text, if only an empty one, of 40 ms', async () => {
      const one = await call();
      one.session.push(one.subject.speech(0, 8000).samples.subarray(0, 320));
      expect(one.session.endUtterance()).toBe(0);
      await one.settled(1);
      expect(one.results()).toMatchObject([{ type: 'final', utterance: 0 }]);
      await one.end();
    });

    it('tells what was charged, with the provider and the seconds', async () => {
      const one = await call();
      one.say(0);
      await one.settled(1);
      await eventually(() => one.heard.seen.some(({ type }) => type === 'usage'));
      for (const event of one.heard.seen) {
        if (event.type !== 'usage') continue;
        expect(event.usage.provider).toMatch(/^[a-z0-9-]+\/\S/);
        expect(event.usage.audioSeconds).toBeGreaterThan(0);
      }
      await one.end();
    });

    it('tells nothing after the signal, ends quietly, and leaves no connection', async () => {
      const one = await call();
      one.say(0);
      one.push(1);
      await one.end();
      expect(one.results()).toEqual([]);
      // The call may not know yet.
      one.push(2);
      one.session.pause();
      one.session.discardUtterance();
      expect(typeof one.session.endUtterance()).toBe('number');
      await arrivals();
      expect(one.heard.seen).toEqual([]);
      expect(one.subject.open()).toBe(0);
    });

    it('opens nothing for a call that is over already', async () => {
      const one = await call(null, { signal: AbortSignal.abort() });
      await one.heard.done;
      await arrivals();
      expect([one.heard.seen, one.heard.error, one.subject.made()]).toEqual([[], null, 0]);
    });

    it('leaves no connection when it was warmed and never used', async () => {
      const subject = await begin(null);
      subject.speechToText.warm?.();
      await arrivals();
      subject.speechToText.close?.();
      subject.speechToText.close?.();
      await eventually(() => subject.open() === 0);
      await arrivals();
      expect(subject.open()).toBe(0);
    });

    it.each(vendorFaults.filter(can))('fails every utterance once, in order: %s', async (fault) => {
      const one = await call(fault);
      one.say(0);
      one.say(1);
      await one.settled(2);
      await arrivals();
      expect(one.results().map(({ type, utterance }) => `${type} ${utterance}`)).toEqual([
        'failed 0',
        'failed 1',
      ]);
      for (const event of one.results()) {
        if (event.type === 'failed') expectFailure(event.error, failureOf[fault]);
      }
      await one.end();
    });
  });
}

function isResult(event: SpeechToTextEvent): event is SpeechToTextEvent & { type: 'final' | 'failed' } {
  return event.type === 'final' || event.type === 'failed';
}

function plain(event: SpeechToTextEvent & { type: 'final' | 'failed' }): string {
  return `${event.utterance} ${event.type === 'final' ? plainText(event.text) : `failed: ${event.error.message}`}`;
}

const plainText = (text: string) =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9 ]/g, '')
    .trim();
