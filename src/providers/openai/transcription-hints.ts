/** The port's own bounds. */
const mostKeywords = 100;
const longestKeyword = 50;

/** Words to expect, as OpenAI's transcribers take them. */
export function keywordsOf(keywords: readonly string[] = []): string[] {
  return (
    keywords
      // The server refuses these characters in a keyword.
      .map((word) =>
        word
          .replace(/[<>\r\n]/g, ' ')
          .trim()
          .slice(0, longestKeyword),
      )
      .filter((word) => word !== '')
      .slice(0, mostKeywords)
  );
}

/** What stands in the prompt of a model that takes no keywords; null: nothing. */
export function promptWith(prompt: string | undefined, keywords: readonly string[]): string | null {
  const words = [prompt, keywords.join(', ')].filter((part) => part !== undefined && part !== '').join(' ');
  return words === '' ? null : words;
}

/** ISO 639-1, which the API takes: the language without its region. */
export function languageCode(language: string | undefined): string | undefined {
  return language?.split('-')[0]?.toLowerCase();
}
