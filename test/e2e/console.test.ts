import { readFile } from 'node:fs/promises';
import type { Page, WebSocketRoute } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { voicedSpan } from '../../tools/caller/audio.ts';
import { channelsOf, silence, voice, withConsole } from '../support/console-page.ts';
import { humanClips } from '../support/human-clips.ts';
import { at, type Laptop, startLaptop } from '../support/laptop.ts';
import { wordErrors } from '../support/word-errors.ts';

/** The page in a headless Chromium, against everything that `npm start` runs; its microphone is a recorded human voice. */
const stop = new AbortController();
let laptop: Laptop;
const insecureHost = 'console.test';
/** Somebody who waits for the greeting to end, and then says nothing more. */
const quiet = [silence(100)];

beforeAll(async () => {
  laptop = await startLaptop(stop.signal, { ALLOWED_HOSTS: `localhost,127.0.0.1,${insecureHost}` });
});

afterAll(async () => {
  stop.abort();
  await laptop?.close();
});

const consoleUrl = () => `${laptop.url}/console`;
const state = (page: Page, text: string | RegExp) =>
  page.getByRole('status').filter({ hasText: text }).waitFor({ timeout: 20_000 });
const turns = (page: Page, role: 'caller' | 'agent') => page.locator(`.turn.${role} .text`);
/** The lines of the list of events of one type, and its direction. */
const events = (page: Page, what: string) =>
  page.locator('#events li').filter({ has: page.locator('.what', { hasText: new RegExp(`^${what}$`) }) });
const callIdOf = async (page: Page) =>
  (await events(page, 'start_call').first().locator('span').last().innerText()).trim();

/** From its first sound to its last, with some silence around. */
function voiced(samples: Int16Array): Int16Array {
  const { start, end } = voicedSpan(samples, 8000) ?? { start: 0, end: 0 };
  return samples.subarray(Math.max(0, start - at(150)), end + at(150));
}

/** Hangs up and returns the recording that the page offers. */
async function recordingOf(page: Page): Promise<Uint8Array> {
  await page.getByRole('button', { name: 'Hang up' }).click();
  await state(page, 'Call ended');
  const downloading = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download WAV' }).click();
  return await readFile(await (await downloading).path());
}

describe('a call from the page', () => {
  it('is a conversation: what a human says is understood and answered, measured, recorded on both sides, and in the record', async () => {
    const clip = humanClips().find(({ name }) => name === 'librivox-0930') ?? humanClips()[0]!;
    const microphone = [silence(4_500), await voice(clip.path), silence(60_000)];
    await withConsole(consoleUrl(), { microphone }, async ({ page, problems, requests }) => {
      // By keyboard alone.
      await page.keyboard.press('c');
      await state(page, 'Listening');
      expect(await turns(page, 'agent').first().innerText()).toBe(
        'Harbour Cycles, hello. How can I help you?',
      );
      await turns(page, 'agent').nth(1).waitFor({ timeout: 30_000 });
      await state(page, 'Listening');

      const understood = await turns(page, 'caller').allInnerTexts();
      expect(wordErrors(clip.reference, understood.join(' ')).rate).toBeLessThanOrEqual(0.25);
      expect(await page.locator('#announcer').innerText()).toContain(`You: ${understood[0]}`);

      const parts = await page.locator('.latencies li').first().locator('.parts dd').allInnerTexts();
      const [wait, work, vendor] = parts.map((text) => Number.parseInt(text, 10));
      const total = Number.parseInt(await page.locator('.latencies li strong').first().innerText(), 10);
      expect(wait! + work! + vendor!).toBe(total);
      expect(wait).toBeGreaterThanOrEqual(400);
      const moments = await page
        .locator('.latencies li')
        .first()
        .locator('.steps li span:first-child')
        .allInnerTexts();
      expect(moments).toContain('Turn judged over');
      expect(moments.at(-1)).toBe('Sent to you');
      // Marks go back when they were played.
      expect(await events(page, 'mark').count()).toBeGreaterThanOrEqual(4);

      const callId = await callIdOf(page);
      const { left, right } = channelsOf(await recordingOf(page));
      expect(wordErrors(clip.reference, await laptop.recognise(voiced(left))).rate).toBeLessThanOrEqual(0.25);
      // The engine's voice is not understood perfectly: as well as when it comes straight from the engine.
      const straight = await laptop.recognise(
        await laptop.speech('Harbour Cycles, hello. How can I help you?'),
      );
      const heard = await laptop.recognise(voiced(right.subarray(0, at(4_500))));
      expect(wordErrors(straight, heard).rate).toBeLessThanOrEqual(0.34);
      expect(Math.abs(left.length - right.length)).toBeLessThanOrEqual(1);

      const row = await laptop.rowOf(callId);
      expect(row).toMatchObject({ user_id: 'console', status: 'ended', end_reason: 'hangup' });
      expect(Math.abs(left.length / 8 - Number(row.duration_seconds) * 1000)).toBeLessThan(1_000);
      expect(row.transcript.filter(({ role }) => role === 'caller').map(({ text }) => text)).toEqual(
        understood,
      );
      expect(problems).toEqual([]);
      expect(
        new Set(
          requests.map(({ url }) => new URL(url).protocol === 'blob:' || new URL(url).origin === laptop.url),
        ),
      ).toEqual(new Set([true]));
    });
  });

  it('shows what an interruption cut off: the button, without a word', async () => {
    await withConsole(consoleUrl(), { microphone: quiet }, async ({ page }) => {
      await page.getByRole('button', { name: 'Start the call' }).click();
      await state(page, 'The agent speaks');
      await page.getByRole('button', { name: 'Interrupt' }).click();
      await page.locator('.turn.agent del').waitFor();
      await state(page, 'Listening');
      const [heard, cut] = [
        await page.locator('.turn.agent .heard').allInnerTexts(),
        await page.locator('.turn.agent del').innerText(),
      ];
      expect([...heard, cut].join(' ')).toMatch(/^Harbour Cycles, hello\./);
      const callId = await callIdOf(page);
      await page.keyboard.press('h');
      const [turn] = (await laptop.rowOf(callId)).transcript;
      // The record has what the page does not strike out.
      expect(turn === undefined ? [] : [turn.text]).toEqual(heard);
    });
  });

  it('presses keys, from the keyboard, on the page, and several at once', async () => {
    await withConsole(consoleUrl(), { microphone: quiet }, async ({ page }) => {
      await page.keyboard.press('c');
      await state(page, 'Listening');
      await page.keyboard.press('4');
      await page.keyboard.press('k');
      await page.getByRole('button', { name: '2', exact: true }).click();
      await page.getByLabel('Several keys at once').fill('07#');
      await page.keyboard.press('Enter');
      await turns(page, 'caller').first().waitFor();
      expect(await page.locator('#pressed').innerText()).toBe('4207#');
      expect((await turns(page, 'caller').first().innerText()).replaceAll(/\D/g, '')).toBe('4207');
      await turns(page, 'agent').nth(1).waitFor();
      await page.getByRole('button', { name: 'Mute' }).click();
      expect(await page.getByRole('button', { name: 'Mute' }).getAttribute('aria-pressed')).toBe('true');
    });
  });

  it('survives a broken connection: the same call goes on', async () => {
    await withConsole(consoleUrl(), { microphone: quiet }, async ({ page }) => {
      const sockets: { page: WebSocketRoute; service: WebSocketRoute }[] = [];
      await page.routeWebSocket(/call-session/, (route) => {
        sockets.push({ page: route, service: route.connectToServer() });
      });
      await page.keyboard.press('c');
      await state(page, 'Listening');
      const [first] = sockets;
      await first!.service.close({ code: 3001 });
      await first!.page.close({ code: 3001 });
      await events(page, 'connection made anew').waitFor();
      expect(sockets).toHaveLength(2);
      await page.keyboard.press('5');
      await page.keyboard.press('#');
      await turns(page, 'agent').nth(1).waitFor();
      const callId = await callIdOf(page);
      await page.keyboard.press('h');
      expect(await laptop.rowOf(callId)).toMatchObject({ status: 'ended', end_reason: 'hangup' });
    });
  });
});

describe('what stands in the way of a call', () => {
  it('a blocked microphone is explained, and a call without one is possible', async () => {
    await withConsole(consoleUrl(), { microphone: null }, async ({ page }) => {
      await page.getByRole('button', { name: 'Start the call' }).click();
      await page
        .getByRole('alert')
        .filter({ hasText: /microphone is blocked/i })
        .waitFor();
      await page.getByRole('button', { name: 'Call without a microphone' }).click();
      await state(page, 'Listening');
      await page.keyboard.press('9');
      await page.keyboard.press('#');
      await turns(page, 'agent').nth(1).waitFor();
      const { left, right } = channelsOf(await recordingOf(page));
      expect(left.every((sample) => sample === 0)).toBe(true);
      expect(right.some((sample) => Math.abs(sample) > 1_000)).toBe(true);
    });
  });

  it('a page that came over an unsafe connection is explained before anything is tried', async () => {
    const url = consoleUrl().replace('127.0.0.1', insecureHost);
    await withConsole(url, { microphone: quiet, hosts: [insecureHost] }, async ({ page }) => {
      await page
        .getByRole('alert')
        .filter({ hasText: /safe connection/ })
        .waitFor();
      await page.getByRole('button', { name: 'Start the call' }).click();
      await page
        .getByRole('alert')
        .filter({ hasText: /http:\/\/localhost/ })
        .waitFor();
      expect(await page.locator('body').getAttribute('data-phase')).toBe('idle');
    });
  });

  it('a service that cannot be reached is explained', async () => {
    await withConsole(consoleUrl(), { microphone: quiet }, async ({ page }) => {
      await page.routeWebSocket(/call-session/, (route) => route.close({ code: 3001 }));
      await page.route('**/health', (route) => route.abort());
      await page.getByRole('button', { name: 'Start the call' }).click();
      await page
        .getByRole('alert')
        .filter({ hasText: /connection broke|cannot be reached/ })
        .waitFor();
      await page.unrouteAll();
      await page.routeWebSocket(/call-session/, (route) => void route.connectToServer());
      await page.getByRole('button', { name: 'Try again' }).click();
      await state(page, 'The agent speaks');
    });
  });
});

describe('the page itself', () => {
  it('loads with three requests, all to its own service, and weighs less than 100 KB', async () => {
    await withConsole(consoleUrl(), { microphone: quiet }, async ({ page, requests, problems }) => {
      await page.waitForLoadState('networkidle');
      expect(requests.map(({ type }) => type).sort()).toEqual(['document', 'script', 'stylesheet']);
      expect(requests.every(({ url }) => url.startsWith(laptop.url))).toBe(true);
      expect(requests.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(100_000);
      expect(problems).toEqual([]);
      // What is not in the page's policy is refused.
      const refused = await page.evaluate(() =>
        fetch('https://example.com').then(
          () => 'sent',
          () => 'refused',
        ),
      );
      expect(refused).toBe('refused');
      expect(problems.join()).toContain('Content Security Policy');
    });
  });

  it('names everything that can be worked, and leaves nothing out of the keyboard’s reach', async () => {
    await withConsole(consoleUrl(), { microphone: quiet }, async ({ page }) => {
      await page.keyboard.press('c');
      await state(page, 'Listening');
      await page.keyboard.press('k');
      const found = await page.evaluate(() => {
        const shown = (element: Element) => (element as HTMLElement).offsetParent !== null;
        const works = [...document.querySelectorAll('button, input, select, a[href], summary, meter, audio')];
        const nameOf = (element: Element) =>
          element.getAttribute('aria-label') ||
          document.getElementById(element.getAttribute('aria-labelledby') ?? '')?.textContent ||
          [...((element as HTMLInputElement).labels ?? [])].map((label) => label.textContent).join(' ') ||
          element.textContent ||
          '';
        const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
        const referred = [...document.querySelectorAll('[aria-labelledby], [aria-controls], [for]')].flatMap(
          (element) =>
            ['aria-labelledby', 'aria-controls', 'for'].flatMap((name) => element.getAttribute(name) ?? []),
        );
        return {
          unnamed: works.filter((element) => nameOf(element).trim() === '').map(({ outerHTML }) => outerHTML),
          doubled: ids.filter((id, i) => ids.indexOf(id) !== i),
          dangling: referred.filter((id) => !ids.includes(id)),
          count: works.filter(shown).length,
          positive: [...document.querySelectorAll('[tabindex]')].filter(
            (element) => (element as HTMLElement).tabIndex > 0,
          ).length,
          lang: document.documentElement.lang,
          headings: [...document.querySelectorAll('h1, h2, h3')].map(({ tagName }) => tagName),
          live: [...document.querySelectorAll('[aria-live], [role=alert], [role=status]')].length,
          mains: document.querySelectorAll('main').length,
        };
      });
      expect(found).toMatchObject({
        unnamed: [],
        doubled: [],
        dangling: [],
        positive: 0,
        lang: 'en',
        mains: 1,
      });
      expect(found.headings[0]).toBe('H1');
      expect(found.headings.filter((name) => name === 'H1')).toHaveLength(1);
      expect(found.live).toBeGreaterThanOrEqual(4);

      // Round the page by Tab: everything that is shown is passed.
      await page.evaluate(() => (document.activeElement as HTMLElement).blur());
      const passed = new Set<string>();
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press('Tab');
        passed.add(
          await page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent || ''),
        );
      }
      for (const id of ['mute', 'interrupt', 'keypad-toggle', 'hangup', 'digits', 'transcript', 'events-box'])
        expect(passed).toContain(id);
      for (const key of ['1', '5', '0', '#'])
        expect([...passed].some((name) => name.startsWith(key))).toBe(true);
    });
  });

  it('lets the shortcuts be switched off, and takes no key for one that is typed into a field', async () => {
    await withConsole(consoleUrl(), { microphone: quiet }, async ({ page }) => {
      await page.getByLabel('Your number').fill('');
      await page.getByLabel('Your number').press('c');
      expect(await page.locator('body').getAttribute('data-phase')).toBe('idle');
      await page.getByText('Keyboard').click();
      await page.getByLabel('Shortcuts are on').uncheck();
      await page.locator('h1').click();
      await page.keyboard.press('c');
      expect(await page.locator('body').getAttribute('data-phase')).toBe('idle');
    });
  });

  it.each([
    ['a phone', { width: 360, height: 640 }],
    ['a phone on its side', { width: 740, height: 360 }],
    ['a desk', { width: 1280, height: 800 }],
  ])('fits the screen of %s, with buttons that a thumb can hit', async (_, viewport) => {
    const context = { viewport, colorScheme: 'dark', reducedMotion: 'reduce' } as const;
    await withConsole(consoleUrl(), { microphone: quiet, context }, async ({ page }) => {
      await page.getByRole('button', { name: 'Start the call' }).click();
      await state(page, 'Listening');
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(wide).toBeLessThanOrEqual(0);
      for (const name of ['Mute', 'Interrupt', 'Keypad', 'Hang up']) {
        const box = (await page.getByRole('button', { name }).boundingBox())!;
        expect(box.height).toBeGreaterThanOrEqual(44);
        expect(box.width).toBeGreaterThanOrEqual(44);
        expect(box.x).toBeGreaterThanOrEqual(0);
        expect(box.x + box.width).toBeLessThanOrEqual(viewport.width);
        expect(box.y + box.height).toBeLessThanOrEqual(viewport.height);
      }
      // As the system asks: dark, and nothing that moves by itself.
      const look = await page.evaluate(() => ({
        paper: getComputedStyle(document.body).backgroundColor,
        moving: document.getAnimations().length,
      }));
      expect(look).toEqual({ paper: 'rgb(20, 23, 21)', moving: 0 });
    });
  });
});
