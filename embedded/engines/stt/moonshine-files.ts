import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import llamaTokenizer from 'llama-tokenizer-js';

export interface MoonshineFiles {
  encoder: string;
  mergedDecoder: string;
  tokens: string;
  /** Removes what was written for the start; the recogniser holds it in memory by then. */
  remove(): Promise<void>;
}

/** Moonshine's vocabulary: Llama's 32,000 tokens and 768 of its own that stand for no text. */
const vocabularySize = 32_768;

/**
 * Moonshine-tiny's weights where the npm package has them, and a token list made for sherpa-onnx in a fresh folder
 * of the system's temporary one, where no other process can have put its own.
 *
 * @throws {Error} if the package is not installed.
 */
export async function moonshineFiles(): Promise<MoonshineFiles> {
  const folder = join(moonshinePackage(), 'dist', 'model', 'tiny', 'quantized');
  const encoder = join(folder, 'encoder_model.onnx');
  const mergedDecoder = join(folder, 'decoder_model_merged.onnx');
  for (const path of [encoder, mergedDecoder]) {
    if (!existsSync(path)) throw new Error(`no speech model at ${path}: run "npm ci"`);
  }
  const scratch = await mkdtemp(join(tmpdir(), 'ai-call-handler-engines-'));
  const tokens = join(scratch, 'tokens.txt');
  await writeFile(tokens, tokenList(), { mode: 0o600 });
  return { encoder, mergedDecoder, tokens, remove: () => rm(scratch, { recursive: true, force: true }) };
}

/** One line per token: the token in base64 and its number. */
function tokenList(): string {
  const vocabulary = [...llamaTokenizer.vocabById];
  while (vocabulary.length < vocabularySize) vocabulary.push(`<<ST_${vocabulary.length}>>`);
  return vocabulary.map((token, id) => `${Buffer.from(token).toString('base64')} ${id}\n`).join('');
}

/** Tokens without text, and UTF-8 bytes that the vocabulary has no letter for, as the recogniser writes them. */
export function cleanTranscript(text: string): string {
  return text
    .replace(/<<ST_\d+>>|<unk>|<\/?s>/g, '')
    .replace(/(?:<0x[0-9A-F]{2}>)+/g, (bytes) => Buffer.from(bytes.replace(/<0x|>/g, ''), 'hex').toString())
    .replace(/\s+/g, ' ')
    .trim();
}

/** The package has no entry that Node can resolve, so its folder is looked for as Node would. */
function moonshinePackage(): string {
  const name = join('@moonshine-ai', 'moonshine-js');
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    if (existsSync(join(folder, name))) return join(folder, name);
  }
  throw new Error(`npm's ${name} is not installed near ${dirname(import.meta.dirname)}: run "npm ci"`);
}
