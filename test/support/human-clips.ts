import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A recording of a person, and what the person said. */
export interface HumanClip {
  /** Unique among the clips, e.g. `librivox-0870`. */
  name: string;
  /** A 16-bit mono WAV file at 16 kHz. */
  path: string;
  reference: string;
}

/** Where Debian's `pocketsphinx-testdata` puts its recordings. */
const debianFolder = '/usr/share/pocketsphinx/test/data';

/** The sets of that package that are WAV files with a transcription. */
const debianSets = [
  { folder: 'cards', ids: 'cards.fileids', transcription: 'cards.transcription' },
  { folder: 'librivox', ids: 'fileids', transcription: 'transcription' },
];

/**
 * The real speech that recognition is judged by: ten clips of Debian's `pocketsphinx-testdata` (playing cards
 * by telephone-style speakers, an audio book) and the one of President Kennedy inside npm's `nodejs-whisper`.
 *
 * @param environment `CI=true` there makes a missing package an error; a developer without Debian gets the rest.
 * @throws {Error} naming what to install.
 */
export function humanClips(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): HumanClip[] {
  const clips = [kennedy()];
  if (existsSync(debianFolder)) {
    clips.push(...debianSets.flatMap(debianClips));
  } else if (isTrue(environment.CI)) {
    throw new Error(
      `no human recordings under ${debianFolder}: install them with "apt-get install pocketsphinx-testdata"`,
    );
  } else {
    console.warn('human recordings: only one clip; "apt-get install pocketsphinx-testdata" adds ten');
  }
  return clips;
}

function debianClips(set: (typeof debianSets)[number]): HumanClip[] {
  const folder = join(debianFolder, set.folder);
  const references = new Map<string, string>();
  for (const line of lines(join(folder, set.transcription))) {
    const parts = /^<s>(.*)<\/s>\s*\((.+)\)$/.exec(line);
    if (parts === null) throw new Error(`${set.transcription}: cannot read ${JSON.stringify(line)}`);
    references.set(parts[2]!, parts[1]!.trim());
  }
  return lines(join(folder, set.ids)).map((id) => {
    const reference = references.get(id);
    if (reference === undefined) throw new Error(`${set.transcription} has nothing for ${id}`);
    return {
      name: `${set.folder}-${id.replace(/^.*-/, '')}`,
      path: existing(join(folder, `${id}.wav`), 'apt-get install --reinstall pocketsphinx-testdata'),
      reference,
    };
  });
}

export function kennedy(): HumanClip {
  const inPackage = join('nodejs-whisper', 'cpp', 'whisper.cpp', 'bindings', 'go', 'samples', 'jfk.wav');
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
  return {
    name: 'jfk',
    path: existing(join(root, 'node_modules', inPackage), 'npm ci'),
    reference:
      'and so my fellow americans ask not what your country can do for you ask what you can do for your country',
  };
}

function existing(path: string, remedy: string): string {
  if (!existsSync(path)) throw new Error(`no recording at ${path}: run "${remedy}"`);
  return path;
}

function lines(path: string): string[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function isTrue(value: string | undefined): boolean {
  return value === 'true' || value === '1';
}
