import type { ToolDefinition } from '../providers/ports.ts';
import type { AgentConfig } from './agent-config.ts';
import { openingOf } from './opening.ts';
import { promptIn } from './spoken-language.ts';

/**
 * What a model that listens and speaks at the same time is told for the whole call. The labelled policies are those of
 * https://developers.openai.com/api/docs/guides/live-prompting, where each call or agent has its own words beneath them.
 */
export function duplexInstructions(agent: AgentConfig, tools: readonly ToolDefinition[]): string {
  const { prompt, language, keywords, faq } = agent;
  const opening = openingOf(agent)
    .map(({ text }) => text)
    .join(' ');
  const parts = [
    promptIn(language, prompt),
    'You are speaking with a caller on the telephone. Keep what you say short and without any formatting.',
  ];
  if (opening !== '') {
    parts.push(
      `At the beginning of the call the caller hears a recording of you saying: "${opening}" Do not greet again.`,
    );
  }
  if (keywords.length > 0) parts.push(`Words that the caller is likely to say: ${keywords.join(', ')}.`);
  if (faq.length > 0) {
    const answers = faq.map(({ questions, answer }) => `- ${questions.join(' / ')}\n  ${answer}`);
    parts.push(`Answer these questions in exactly these words:\n${answers.join('\n')}`);
  }
  parts.push('Interruption policy: Stop speaking when the caller interrupts you, and listen.');
  const listed = tools.map(({ name, description }) => `- ${name}: ${description}`);
  parts.push(
    [
      'Delegation policy:',
      'Backend tools:',
      ...(listed.length === 0 ? ['- reasoning: thinks a difficult question through'] : listed),
      'Delegate to the backend when:',
      '- the request needs one of these tools, or facts that you have not been given.',
      'Do not delegate to the backend when:',
      '- you can answer from what you know and what was said.',
      'Never say that something was done before the backend has said so.',
    ].join('\n'),
  );
  parts.push(
    `Text that begins with "${notePrefix}" is for you to know: never read it out and never answer it.`,
  );
  return parts.join('\n\n');
}

const notePrefix = 'Internal note:';

export function internalNote(text: string): string {
  return `${notePrefix} ${text}`;
}

/** The system prompt of the language model that does what was delegated to it. */
export function delegatedPrompt(agent: AgentConfig): string {
  return [
    promptIn(agent.language, agent.prompt),
    'You work behind an assistant who is speaking with the caller on the telephone at this moment, and has asked you for help with what ' +
      'the caller said last. The conversation is a transcript: it can contain mistakes, unfinished phrases and later corrections. ' +
      'Answer with what the assistant is to tell the caller: the facts, whether the task is done, and what comes next, in a few short ' +
      'sentences. If a detail is missing, ask for it. Never invent a success.',
  ].join('\n\n');
}
