import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { DebianPackage } from '../../tools/debian-packages.ts';

/** Settings are chosen on the tuning speakers, and judged on the held-out ones. What is synthetic is no person's. */
export type Group = 'tuning' | 'held-out' | 'synthetic';

/** A recording as it was published; nothing of it is in this repository. */
export interface Recording {
  /** Its file, or its samples at the line's rate. */
  from: string | Int16Array;
  /** Of a file of bare 16-bit samples, in Hz; absent: a WAV file. */
  rawRate?: number;
  /** Where each of the turns in it lies, in seconds, roughly: the label is the voice within. Absent: the whole is one. */
  turns?: readonly (readonly [number, number])[];
}

export interface Speaker {
  name: string;
  group: Group;
  /** Whole sentences, the last of which ends the turn. */
  sentences: readonly Recording[];
  /** Numbers and the like, dictated as they stand. */
  dictation: readonly Recording[];
  /** Single digits, from which numbers are joined, and what is said before them. */
  digits: readonly Recording[];
  numberIs: readonly Recording[];
  /** Said to somebody who speaks, in order to speak oneself. */
  interruptions: readonly Recording[];
  /** Said to somebody who is to go on. */
  backchannels: readonly Recording[];
  /** Cries without a word. */
  cries: readonly Recording[];
}

/** What Debian has of it. The twelfth source, npm's `nodejs-whisper` (MIT; the speech is in the public domain), is installed already. */
export const speechPackages: readonly (DebianPackage & { licence: string })[] = [
  {
    name: 'asterisk-core-sounds-en-wav',
    file: '/usr/share/asterisk/sounds/en_US_f_Allison/digits/1.wav',
    why: 'telephone prompts by Allison Smith; 18 MB',
    licence: 'CC-BY-SA-3.0',
  },
  {
    name: 'codec2-examples',
    file: '/usr/share/codec2/raw/ve9qrp.raw',
    why: 'sentences and radio amateurs, by which codecs are judged; 11 MB',
    licence: 'LGPL-2.1',
  },
  {
    name: 'linphone-common',
    file: '/usr/share/sounds/linphone/hello16000.wav',
    why: "the greeting of a telephone's author; 9 MB",
    licence: 'GPL-3+',
  },
  {
    name: 'pocketsphinx-testdata',
    file: '/usr/share/pocketsphinx/test/data/cards/001.wav',
    why: 'playing cards, digits, an audio book',
    licence: 'BSD-2-Clause',
  },
  {
    name: 'megaglest-data',
    file: '/usr/share/games/megaglest/techs/megapack/commondata/sounds/guard_ack2.wav',
    why: '"yes", "okay" and "what do you want?" by the figures of a game; 242 MB',
    licence: 'CC-BY-SA-3.0',
  },
];

const codec2 = (name: string, turns?: Recording['turns']): Recording => ({
  from: `/usr/share/codec2/raw/${name}.raw`,
  rawRate: 8_000,
  ...(turns === undefined ? {} : { turns }),
});
const sphinx = (name: string, turns?: Recording['turns']): Recording => ({
  from: `/usr/share/pocketsphinx/test/data/${name}`,
  ...(name.endsWith('.raw') ? { rawRate: 16_000 } : {}),
  ...(turns === undefined ? {} : { turns }),
});
const prompts = (names: string): Recording[] =>
  words(names).map((name) => ({ from: `/usr/share/asterisk/sounds/en_US_f_Allison/${name}.wav` }));
const figures = (names: string): Recording[] =>
  words(names).map((name) => ({
    from: `/usr/share/games/megaglest/techs/megapack/commondata/sounds/${name}.wav`,
  }));
const words = (text: string) => text.split(/\s+/).filter((word) => word !== '');

const whisper = dirname(createRequire(import.meta.url).resolve('nodejs-whisper/package.json'));
const kennedy = join(whisper, 'cpp', 'whisper.cpp', 'bindings', 'go', 'samples', 'jfk.wav');

export function speaker(name: string, group: Group, said: Partial<Omit<Speaker, 'name' | 'group'>>): Speaker {
  return {
    name,
    group,
    sentences: [],
    dictation: [],
    digits: [],
    numberIs: [],
    interruptions: [],
    backchannels: [],
    cries: [],
    ...said,
  };
}

/**
 * Whose voices are heard. The game's figures are spoken by its authors' family and friends, who are not named: one of them may be
 * two figures, and so in both groups.
 */
export const speakers: readonly Speaker[] = [
  speaker('Allison Smith', 'tuning', {
    sentences: prompts(`
      agent-incorrect auth-incorrect all-circuits-busy-now cannot-complete-as-dialed check-number-dial-again conf-invalid
      conf-getpin conf-onlyperson confbridge-pin confbridge-lock-no-join confbridge-only-one confbridge-invalid
      demo-nomatch dir-nomore feature-not-avail-line invalid pbx-invalid pbx-invalidpark privacy-prompt
      privacy-incorrect privacy-unident queue-periodic-announce queue-youarenext ss-noservice tt-weasels unidentified-no-callback
      vm-forward vm-instructions vm-intro vm-invalid-password vm-mailboxfull vm-mismatch vm-nobodyavail vm-nobox
      vm-nonumber vm-rec-name vm-review vm-sorry vm-savefolder vm-tmpexists`),
    digits: prompts('0 1 2 3 4 5 6 7 8 9'.replaceAll(/\d/g, 'digits/$&')),
    numberIs: prompts('vm-num-i-have'),
    interruptions: prompts(`
      all-circuits-busy-now cannot-complete-as-dialed conf-full demo-thanks im-sorry one-moment-please please-try-again
      please-try-call-later something-terribly-wrong tt-weasels vm-nobodyavail vm-savefolder vm-sorry vm-tooshort`),
  }),
  speaker('playing cards', 'tuning', {
    sentences: words('001 002 003 004 005').map((name) => sphinx(`cards/${name}.wav`)),
  }),
  speaker('KA9Q', 'tuning', { sentences: [codec2('cq_ref')] }),
  speaker('Kristoff', 'tuning', { sentences: [codec2('kristoff')] }),
  speaker('mmt1', 'tuning', { sentences: [codec2('mmt1')], interruptions: [codec2('mmt1')] }),
  speaker('cross', 'tuning', { sentences: [codec2('cross')], interruptions: [codec2('cross')] }),
  speaker('morig', 'tuning', { sentences: [codec2('morig')], interruptions: [codec2('morig')] }),
  speaker('archer', 'tuning', {
    interruptions:
      figures(`archer_select2 archer_select4 archer_select5 archer_select8 archer_select10 archer_select11 archer_ack2
      archer_ack7 archer_ack9 archer_ack14`),
    backchannels:
      figures(`archer_ack3 archer_ack5 archer_ack6 archer_ack10 archer_ack12 archer_ack13 archer_ack15 archer_select1
      archer_select6`),
    cries: figures('archer_die1 archer_die2 archer_die3 archer_die4'),
  }),
  speaker('horseman', 'tuning', {
    interruptions:
      figures(`horseman_select1 horseman_select6 horseman_select7 horseman_select8 horseman_select9 horseman_select11
      horseman_ack14`),
    backchannels:
      figures(`horseman_ack1 horseman_ack2 horseman_ack5 horseman_ack6 horseman_ack7 horseman_ack8 horseman_ack9
      horseman_ack10 horseman_ack11 horseman_ack12 horseman_ack13 horseman_ack15 horseman_select2 horseman_select10`),
    cries: figures('horseman_die1 horseman_die2 horseman_die3 horseman_die4'),
  }),
  speaker('worker', 'tuning', {
    interruptions: figures('worker_select2 worker_ack4'),
    backchannels: figures('worker_ack1 worker_ack2 worker_ack3 worker_ack6 worker_ack7 worker_select3'),
    cries: figures('worker_die1 worker_die2 worker_die3'),
  }),
  speaker('daemon', 'tuning', {
    interruptions: figures('daemon_select2 daemon_select3 daemon_select4 daemon_select6 daemon_select7'),
    backchannels: figures('daemon_ack5 daemon_select5'),
  }),

  speaker('John F. Kennedy', 'held-out', { sentences: [{ from: kennedy, turns: [[0.2, 10.6]] }] }),
  speaker('reader of Austen', 'held-out', {
    sentences: [
      sphinx('librivox/sense_and_sensibility_01_austen_64kb-0870.wav'),
      sphinx('librivox/sense_and_sensibility_01_austen_64kb-0880.wav', [[0.2, 3]]),
      sphinx('librivox/sense_and_sensibility_01_austen_64kb-0890.wav'),
      sphinx('librivox/sense_and_sensibility_01_austen_64kb-0920.wav', [[0.2, 5.55]]),
      sphinx('librivox/sense_and_sensibility_01_austen_64kb-0930.wav'),
    ],
    interruptions: [
      sphinx('librivox/sense_and_sensibility_01_austen_64kb-0880.wav', [[0.2, 3]]),
      sphinx('librivox/sense_and_sensibility_01_austen_64kb-0930.wav'),
    ],
  }),
  speaker('VE9QRP', 'held-out', {
    // Spoken freely, with "uh" and pauses of his own.
    sentences: [
      codec2('ve9qrp', [
        [0.7, 5.3],
        [6.3, 22.4],
        [23, 34.3],
        [36, 40.1],
        [40.3, 46.95],
        [46.95, 59.8],
        [62.55, 75.5],
        [76, 82.8],
        [82.8, 96.25],
        [96.65, 104.2],
        [104.3, 111.3],
      ]),
    ],
  }),
  speaker('hts1', 'held-out', {
    sentences: [
      codec2('hts1', [
        [0, 2.9],
        [2.9, 6],
      ]),
    ],
    interruptions: [
      codec2('hts1', [
        [0, 2.9],
        [2.9, 6],
      ]),
    ],
  }),
  speaker('hts2', 'held-out', {
    sentences: [
      codec2('hts2', [
        [0, 2.9],
        [2.9, 6],
      ]),
    ],
    interruptions: [
      codec2('hts2', [
        [0, 2.9],
        [2.9, 6],
      ]),
    ],
  }),
  speaker('Simon Morlat', 'held-out', {
    sentences: [
      {
        from: '/usr/share/sounds/linphone/hello16000.wav',
        turns: [
          [0.4, 4.4],
          [4.4, 8.8],
        ],
      },
    ],
    interruptions: [
      {
        from: '/usr/share/sounds/linphone/hello16000.wav',
        turns: [
          [4.4, 8.8],
          [8.9, 10.15],
        ],
      },
    ],
  }),
  speaker('VK5QI', 'held-out', {
    sentences: [codec2('vk5qi', [[0.7, 7.55]])],
    dictation: [codec2('vk5qi', [[7.55, 13.1]])],
  }),
  speaker('G3PLX', 'held-out', { dictation: [codec2('g3plx')] }),
  speaker('dhd', 'held-out', {
    sentences: [sphinx('goforward.raw'), sphinx('something.raw')],
    dictation: [sphinx('tidigits/dhd.2934z.raw'), sphinx('numbers.raw', [[0.4, 3.3]])],
    interruptions: [sphinx('goforward.raw'), sphinx('something.raw')],
  }),
  speaker('big_dog', 'held-out', { sentences: [codec2('big_dog')], interruptions: [codec2('big_dog')] }),
  speaker('forig', 'held-out', { sentences: [codec2('forig')], interruptions: [codec2('forig')] }),
  speaker('technician', 'held-out', {
    interruptions:
      figures(`technician_ack2 technician_ack8 technician_ack14 technician_select2 technician_select4
      technician_select7`),
    backchannels:
      figures(`technician_ack1 technician_ack5 technician_ack6 technician_ack7 technician_ack11 technician_ack13
      technician_ack17 technician_ack18 technician_ack19 technician_select3 technician_select6 technician_select8`),
    cries: figures('technician_die1 technician_die2 technician_die3 technician_die4'),
  }),
  speaker('guard', 'held-out', {
    interruptions: figures('guard_select1 guard_select4 guard_ack1'),
    backchannels: figures(
      'guard_ack2 guard_ack4 guard_ack5 guard_ack6 guard_ack7 guard_select2 guard_select3',
    ),
    cries: figures('guard_die1 guard_die2 guard_die3 guard_die4'),
  }),
  speaker('swordman', 'held-out', {
    interruptions:
      figures(`swordman_select1 swordman_select2 swordman_select3 swordman_select5 swordman_select6
      swordman_ack1`),
    backchannels: figures('swordman_ack2 swordman_ack3 swordman_ack4 swordman_select4 swordman_select7'),
    cries: figures('swordman_die1 swordman_die2'),
  }),
  speaker('archmage', 'held-out', {
    interruptions: figures('archmage_ack1 archmage_ack2 archmage_select1 archmage_select2'),
    backchannels: figures(
      'archmage_ack3 archmage_ack4 archmage_ack5 archmage_ack6 archmage_ack7 archmage_select3',
    ),
    cries: figures('archmage_die1 archmage_die2 archmage_hit1 archmage_hit2 archmage_hit3 archmage_hit4'),
  }),
  speaker('axe thrower', 'held-out', {
    interruptions: figures('axe_thrower_select4 axe_thrower_select6'),
    backchannels: figures('axe_thrower_ack2 axe_thrower_ack3 axe_thrower_ack4 axe_thrower_select2'),
    cries: figures('axe_thrower_die1 axe_thrower_die2 axe_thrower_die4'),
  }),
];
