/** One line of a panel; null: nothing was measured there, and the line is broken. */
export interface Series {
  name: string;
  values: readonly (number | null)[];
}

export interface Panel {
  title: string;
  /** Of the values. */
  unit: string;
  series: readonly Series[];
}

const width = 900;
const height = 190;
const left = 70;
const right = 20;
const top = 34;
const bottom = 28;
/** Told apart without colour vision (Okabe and Ito's palette). */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'];

/**
 * Panels above each other over one axis of time, as an SVG that stands for itself. By hand: a line, two axes and a legend are what is wanted,
 * and the libraries that are kept well draw in a browser, or are a dozen packages.
 *
 * @param seconds where each value stands, ascending.
 */
export function plot(seconds: readonly number[], panels: readonly Panel[]): string {
  const total = panels.length * height;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${total}" width="100%" role="img" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${total}" fill="#fff"/>`,
    ...panels.map((panel, i) => `<g transform="translate(0 ${i * height})">${drawn(seconds, panel)}</g>`),
    '</svg>',
  ].join('\n');
}

function drawn(seconds: readonly number[], { title, unit, series }: Panel): string {
  const longest = Math.max(1, seconds.at(-1) ?? 0);
  const values = series.flatMap((line) => line.values.filter((value) => value !== null));
  const marks = ticks(Math.max(0, ...values), 4);
  const highest = marks.at(-1)!;
  const x = (at: number) => left + (at / longest) * (width - left - right);
  const y = (value: number) => height - bottom - (value / highest) * (height - top - bottom);
  const parts = [`<text x="${left}" y="16" font-weight="bold">${escaped(title)}</text>`];
  for (const mark of marks) {
    parts.push(
      `<path d="M${left} ${place(y(mark))}H${width - right}" stroke="#ddd"/>`,
      `<text x="${left - 6}" y="${place(y(mark) + 4)}" text-anchor="end">${label(mark)} ${escaped(unit)}</text>`,
    );
  }
  for (const mark of ticks(longest, 8)) {
    if (mark > longest) continue;
    parts.push(`<text x="${place(x(mark))}" y="${height - 10}" text-anchor="middle">${label(mark)} s</text>`);
  }
  series.forEach(({ name, values: line }, i) => {
    const colour = colours[i % colours.length]!;
    parts.push(
      `<path d="${path(line, seconds, x, y)}" fill="none" stroke="${colour}" stroke-width="1.5" stroke-linejoin="round" stroke-linecap="round"/>`,
      `<text x="${width - right - 90 * (series.length - 1 - i)}" y="16" text-anchor="end" fill="${colour}">${escaped(name)}</text>`,
    );
  });
  return parts.join('\n');
}

/** A line through the values, begun anew after what is missing. */
function path(
  values: readonly (number | null)[],
  seconds: readonly number[],
  x: (at: number) => number,
  y: (value: number) => number,
): string {
  let line = '';
  for (const [i, value] of values.entries()) {
    if (value === null) continue;
    const alone = (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null;
    const point = `${place(x(seconds[i]!))} ${place(y(value))}`;
    line += (values[i - 1] ?? null) === null ? `M${point}` : `L${point}`;
    // A value by itself is a short line.
    if (alone) line += 'h2';
  }
  return line;
}

/** Round numbers from 0 to the first that is not below `most`, about so many: 1, 2 or 5 times a power of ten apart. */
export function ticks(most: number, about: number): number[] {
  const rough = (most > 0 ? most : 1) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const marks = [0];
  while (marks.at(-1)! < most || marks.length < 2) marks.push(marks.length * step);
  return marks;
}

function place(at: number): number {
  return Math.round(at * 10) / 10;
}

function label(value: number): string {
  return Number(value.toPrecision(4)).toLocaleString('en');
}

/** Text for an element of XML or HTML. */
export function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
