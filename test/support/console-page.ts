import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { decodePcm16 } from '../../src/audio/pcm.ts';
import { Resampler } from '../../src/audio/resample.ts';
import { parseWav } from '../../src/audio/wav.ts';
import { samplesToWav, wavToSamples } from '../../tools/caller/audio.ts';

/** Where a Chromium may be: Debian's package, Google's Chrome on Linux and on a Mac. */
const places = [
  '/usr/bin/chromium',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

export interface ConsolePageOptions {
  /** What the microphone hears; null: the browser's permission is missing. */
  microphone: readonly Int16Array[] | null;
  /** Names that lead to this machine, beside its own. */
  hosts?: readonly string[];
  context?: BrowserContextOptions;
}

/** The console in a headless Chromium, and what it asked of the network. */
export interface ConsolePage {
  page: Page;
  requests: { url: string; type: string; bytes: number }[];
  /** Errors of the page, and of its content security policy. */
  problems: string[];
}

/** Silence for the microphone, at 16 kHz. */
export const silence = (ms: number): Int16Array => new Int16Array(16 * ms);

/** A recorded voice for the microphone. */
export const voice = async (file: string): Promise<Int16Array> => wavToSamples(await readFile(file), 16000);

/**
 * Opens `url` with a microphone that plays `microphone` once, from the moment at which the page opens it.
 *
 * @throws {Error} naming what to install, where there is no Chromium.
 */
export async function withConsole(
  url: string,
  options: ConsolePageOptions,
  use: (console: ConsolePage) => Promise<void>,
): Promise<void> {
  const executablePath = places.find((place) => existsSync(place));
  if (executablePath === undefined) {
    throw new Error('no Chromium: install it with "apt-get install chromium"');
  }
  const folder = await mkdtemp(join(tmpdir(), 'console-test-'));
  let browser: Browser | null = null;
  try {
    const args = [
      '--no-sandbox',
      '--autoplay-policy=no-user-gesture-required',
      '--use-fake-device-for-media-stream',
      `--host-resolver-rules=${(options.hosts ?? []).map((host) => `MAP ${host} 127.0.0.1`).join(',')}`,
    ];
    if (options.microphone !== null) {
      const file = join(folder, 'microphone.wav');
      await writeFile(file, samplesToWav(joined(options.microphone), 16000));
      args.push('--use-fake-ui-for-media-stream', `--use-file-for-fake-audio-capture=${file}%noloop`);
    }
    browser = await chromium.launch({ executablePath, args });
    const context = await browser.newContext(options.context);
    // None of all permissions: what is not granted from now on is denied.
    if (options.microphone === null) await context.grantPermissions([]);
    const page = await context.newPage();
    const opened: ConsolePage = { page, requests: [], problems: [] };
    page.on('pageerror', (error) => opened.problems.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') opened.problems.push(message.text());
    });
    page.on('requestfinished', async (request) => {
      const bytes = (await (await request.response())?.body().catch(() => null))?.length ?? 0;
      opened.requests.push({ url: request.url(), type: request.resourceType(), bytes });
    });
    await page.goto(url);
    await use(opened);
  } finally {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** A WAV file of two channels, as 8 kHz mono each. */
export function channelsOf(wav: Uint8Array): { left: Int16Array; right: Int16Array } {
  const { channels, sampleRate, data } = parseWav(wav);
  if (channels !== 2) throw new Error(`${channels} channels`);
  const both = decodePcm16(data);
  const channel = (offset: number) => {
    const samples = both.filter((_, i) => i % 2 === offset);
    const resampler = new Resampler(sampleRate, 8000);
    return joined([resampler.push(samples), resampler.flush()]);
  };
  return { left: channel(0), right: channel(1) };
}

function joined(parts: readonly Int16Array[]): Int16Array {
  const all = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
