/** A stretch of a turn's text. */
export interface Part {
  text: string;
  /**
   * `interim`: may still change. `said`: the agent has said it, or is saying it. `heard`: it belongs to the record.
   * `cut`: the agent said it, and nobody heard it, since the caller interrupted.
   */
  kind: 'interim' | 'said' | 'heard' | 'cut';
}

/** One turn of one party, as it is shown. */
export interface Entry {
  id: number;
  role: 'caller' | 'agent';
  /** Since the call's start. */
  atMs: number;
  parts: Part[];
  /** Nothing of it changes any more. */
  over: boolean;
}

/** The service's `transcript` message. */
export interface TranscriptMessage {
  role: 'caller' | 'agent';
  text: string;
  final: boolean;
}

/**
 * The conversation as the page shows it, from the service's `transcript` messages. Of the caller, interim text is
 * replaced until the final one comes. Of the agent, each interim text is one more sentence that is said, and the final
 * text is what was heard of them: the rest was cut off.
 */
export class Transcript {
  readonly #entries: Entry[] = [];
  #nextId = 1;

  /** In the order in which they began. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Returns the entry that has changed; null if none has. */
  take(message: TranscriptMessage, atMs: number): Entry | null {
    return message.role === 'caller' ? this.#takeCaller(message, atMs) : this.#takeAgent(message, atMs);
  }

  /**
   * Nobody speaks: a sentence of the agent's that is still open was not heard at all, interim text of the caller's came to
   * nothing. Returns the entries that have changed; one without parts is gone.
   *
   * @param role only of this party.
   */
  settle(role?: Entry['role']): Entry[] {
    const open = this.#entries.filter((entry) => !entry.over && (role === undefined || entry.role === role));
    for (const entry of open) {
      entry.over = true;
      entry.parts = entry.role === 'agent' ? entry.parts.map(({ text }) => ({ text, kind: 'cut' })) : [];
      if (entry.parts.length === 0) this.#entries.splice(this.#entries.indexOf(entry), 1);
    }
    return open;
  }

  #takeCaller({ text, final }: TranscriptMessage, atMs: number): Entry | null {
    const open = this.#openOf('caller');
    if (text === '' && open === null) return null;
    const entry = open ?? this.#begin('caller', atMs);
    entry.parts = text === '' ? [] : [{ text, kind: final ? 'heard' : 'interim' }];
    entry.over = final;
    return entry;
  }

  #takeAgent({ text, final }: TranscriptMessage, atMs: number): Entry | null {
    if (text === '') return null;
    const entry = this.#openOf('agent') ?? this.#begin('agent', atMs);
    if (final) {
      entry.parts = heardOf(
        entry.parts.map((part) => part.text),
        text,
      );
      entry.over = true;
    } else {
      entry.parts = [...entry.parts, { text, kind: 'said' }];
    }
    return entry;
  }

  #openOf(role: Entry['role']): Entry | null {
    return this.#entries.find((entry) => !entry.over && entry.role === role) ?? null;
  }

  #begin(role: Entry['role'], atMs: number): Entry {
    const entry: Entry = { id: this.#nextId++, role, atMs, parts: [], over: false };
    this.#entries.push(entry);
    return entry;
  }
}

/** What of `sentences` stands in `heard`, which has them in order, each whole or cut at a word, or not at all. */
function heardOf(sentences: readonly string[], heard: string): Part[] {
  const parts: Part[] = [];
  const add = (text: string, kind: Part['kind']) => {
    const last = parts.at(-1);
    if (text === '') return;
    if (last?.kind === kind) last.text += ` ${text}`;
    else parts.push({ text, kind });
  };
  const wanted = wordsOf(heard);
  let at = 0;
  for (const sentence of sentences) {
    const words = wordsOf(sentence);
    let count = 0;
    while (count < words.length && at < wanted.length && words[count] === wanted[at]) {
      count++;
      at++;
    }
    add(words.slice(0, count).join(' '), 'heard');
    add(words.slice(count).join(' '), 'cut');
  }
  // A model that speaks may have said other words than were announced: the record is right.
  return at === wanted.length ? parts : [{ text: heard, kind: 'heard' }];
}

function wordsOf(text: string): string[] {
  return text.match(/\S+/g) ?? [];
}
