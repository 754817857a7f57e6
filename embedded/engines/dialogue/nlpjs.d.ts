/** What is used of nlp.js 4, which has no types of its own. */
declare module '@nlpjs/nlp' {
  export class Nlp {
    constructor(settings: {
      languages: string[];
      autoSave: boolean;
      autoLoad: boolean;
      nlu: { log: boolean };
      log: boolean;
    });
    readonly container: { use(plugin: unknown): unknown };
    addDocument(locale: string, utterance: string, intent: string): void;
    train(): Promise<void>;
    process(
      locale: string,
      utterance: string,
    ): Promise<{ classifications: { intent: string; score: number }[] }>;
  }
}

declare module '@nlpjs/lang-en-min' {
  export const LangEn: unknown;
  export class StemmerEn {
    constructor(container?: unknown);
    stem(tokens: string[]): string[];
  }
}
