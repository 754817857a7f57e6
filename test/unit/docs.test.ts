import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..');

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

function under(folder: string, ending: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => ending.test(file))
    .map((file) => join(folder, file));
}

const pages = ['README.md', 'ARCHITECTURE.md', 'freeswitch/README.md', ...under('docs', /\.md$/)];
const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts;

/** A page without what stands in its blocks of code. */
function prose(text: string): string {
  return text.replaceAll(/^ *```[^\n]*\n[\s\S]*?^ *```$/gm, '');
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(text: string): Set<string> {
  const headings = [...prose(text).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function links(text: string): string[] {
  return [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

/** Every name in capitals that code, configuration or scripts know. */
const names = new Set(
  [
    ...['src', 'tools', 'test/support', 'kamailio', 'freeswitch'].flatMap((folder) =>
      under(folder, /\.(?:ts|mjs|mts|cfg|lua|xml|conf|sh)$|bin\/\w+$/),
    ),
    'wrangler.toml',
    'package.json',
  ].flatMap((file) => read(file).match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? []),
);

/** Of vendors, carriers and FreeSWITCH: nothing here reads them. */
const elsewhere = new Set([
  'STREAM_EXTRA_HEADERS',
  'MOD_AUDIO_BASIC_AUTH_USERNAME',
  'MOD_AUDIO_BASIC_AUTH_PASSWORD',
]);

describe.each(pages)('%s', (page) => {
  const text = read(page);

  it('leads nowhere that is not there', () => {
    const broken = links(text).filter((target) => {
      if (/^[a-z]+:/.test(target)) return false;
      const [file = '', anchor] = target.split('#');
      const path = file === '' ? page : relative(root, join(root, dirname(page), file));
      if (!existsSync(join(root, path))) return true;
      return anchor !== undefined && !anchors(read(path)).has(anchor);
    });
    expect(broken).toEqual([]);
  });

  it('names no command that is not there', () => {
    const run = [...text.matchAll(/npm run (?:--silent )?([a-z0-9:]+)/g)].map(([, name = '']) => name);
    expect(run.filter((name) => !(name in scripts))).toEqual([]);
    const benches = [...text.matchAll(/npm run bench -- ([a-z-]+)/g)].map(([, name = '']) => name);
    const known = read('bench/main.ts');
    expect(benches.filter((name) => !new RegExp(`^ +'?${name}'?: \\{$`, 'm').test(known))).toEqual([]);
  });

  it('names no file that is not there', () => {
    // What a link to elsewhere is called may look like one of our folders.
    const ours = text.replaceAll(/\[[^\]]*\]\(https?:[^)]*\)/g, '');
    const top = 'src|test|tools|bench|kamailio|freeswitch|monitoring|supabase|docs';
    const named = ours.matchAll(new RegExp(`(?<![\\w./-])(?:${top})/[\\w./-]*\\w`, 'g'));
    // ARCHITECTURE.md names modules as `src` does.
    const there = (file: string) =>
      ['', 'src'].some((at) => existsSync(join(root, at, file)) || existsSync(join(root, at, `${file}.ts`)));
    expect([...named].map(([file]) => file).filter((file) => !there(file))).toEqual([]);
  });

  it('names no setting that nothing reads', () => {
    const named = [...text.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !names.has(name) && !elsewhere.has(name))).toEqual([]);
  });

  it('names no metric that nobody counts', () => {
    const counted = read('docs/metrics.md');
    const proxy = read('kamailio/kamailio.cfg');
    const named =
      text.match(/\b(?:callhandler|kamailio)_\w+_(?:total|up|calls|ratio|seconds|waiting)\b/g) ?? [];
    const unknown = named.filter((name) =>
      name.startsWith('kamailio_')
        ? !proxy.includes(`name=${name.slice('kamailio_'.length)};`)
        : !counted.includes(`\`${name}\``),
    );
    expect(unknown).toEqual([]);
  });
});

describe('docs/README.md', () => {
  it('has every page', () => {
    const listed = links(read('docs/README.md')).map((target) => target.split('#')[0]);
    const all = under('docs', /\.md$/).map((file) => relative('docs', file));
    expect(all.filter((file) => file !== 'README.md' && !listed.includes(file))).toEqual([]);
  });
});
