import { z } from 'zod';
import { bytesOfText, canonicalJson, isDeeperThan } from './json.ts';
import { type Tool, ToolError } from './tool.ts';

/** Of one request's arguments, in UTF-8. */
export const mostArgumentBytes = 16 * 1024;

/** Levels of nesting: no tool needs them, and what walks through a value must not run out of stack. */
const deepest = 32;

/** Mistakes that the model is told at once. */
const mostIssues = 5;

/** A name or a message may quote what the model wrote. */
const longestIssue = 200;

/** A request's arguments, as its tool takes them. */
export interface ReadArguments {
  value: unknown;
  /** The same for arguments that mean the same. */
  canonical: string;
}

/** Throws `ToolError` with what the model did wrong. */
export function readArguments(tool: Tool, text: string): ReadArguments {
  if (text.length > mostArgumentBytes || bytesOfText(text) > mostArgumentBytes) {
    throw new ToolError(`The arguments are longer than ${mostArgumentBytes} bytes.`);
  }
  const written = parseJson(text);
  if (isDeeperThan(deepest, written)) {
    throw new ToolError(`The arguments are nested more than ${deepest} levels deep.`);
  }
  const read = tool.schema.safeParse(written);
  if (!read.success) throw new ToolError(`The arguments do not fit: ${issuesOf(read.error)}.`);
  return { value: read.data, canonical: canonicalJson(read.data) };
}

function parseJson(text: string): unknown {
  // A tool without parameters is called with no text at all by some models.
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new ToolError('The arguments are not JSON.');
  }
}

function issuesOf(error: z.ZodError): string {
  const issues = error.issues.slice(0, mostIssues).map((issue) => {
    const where = issue.path.length === 0 ? '' : `${z.core.toDotPath(issue.path)}: `;
    return `${where}${issue.message}`.slice(0, longestIssue);
  });
  return issues.join('; ');
}
