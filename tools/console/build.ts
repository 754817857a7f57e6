import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * Makes the console's page from `src/console`: `dist/console/assets.js`, a module of texts that `src/http/console.ts`
 * serves and every bundler of the Worker takes in as it is. Run by whatever bundles the Worker.
 */

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const source = path.join(root, 'src', 'console');

/** What the page consists of; `version` is a digest of all, and stands in the addresses. */
export interface ConsoleAssets {
  version: string;
  page: string;
  style: string;
  app: string;
  worklet: string;
}

/** Bundles and minifies the page. @throws esbuild's `BuildFailure`, which has said why on standard error. */
export async function consoleAssets(): Promise<ConsoleAssets> {
  const result = await build({
    absWorkingDir: root,
    entryPoints: {
      app: path.join(source, 'main.ts'),
      worklet: path.join(source, 'audio', 'processor.ts'),
      style: path.join(source, 'style.css'),
    },
    outdir: 'out',
    bundle: true,
    minify: true,
    format: 'esm',
    // The browsers of the last three years.
    target: ['chrome120', 'firefox121', 'safari17'],
    charset: 'utf8',
    legalComments: 'none',
    write: false,
    logLevel: 'warning',
  });
  const output = (name: string) => {
    const file = result.outputFiles.find(({ path: at }) => path.basename(at) === name);
    if (file === undefined) throw new Error(`esbuild made no ${name}`);
    return file.text;
  };
  const parts = {
    // Indentation and remarks are for those who read the file.
    page: readFileSync(path.join(source, 'page.html'), 'utf8')
      .replace(/<!--.*?-->/gs, '')
      .replace(/\n\s*/g, '\n'),
    style: output('style.css'),
    app: output('app.js'),
    worklet: output('worklet.js'),
  };
  const version = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12);
  return { version, ...parts, page: parts.page.replaceAll('%VERSION%', version) };
}

/** Writes the module, if it is not there already; another process may be doing the same. */
export async function buildConsole(): Promise<void> {
  const assets = await consoleAssets();
  const lines = Object.entries(assets).map(
    ([name, text]) => `export const ${name} = ${JSON.stringify(text)};\n`,
  );
  const module = `// Made by tools/console/build.ts.\n${lines.join('')}`;
  const file = path.join(root, 'dist', 'console', 'assets.js');
  if (readText(file) === module) return;
  mkdirSync(path.dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, module);
  renameSync(draft, file);
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildConsole();
