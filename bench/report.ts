import type { Spread } from './measure.ts';

/** Tells lines as they are measured; together they are the section of an engine. */
export type Say = (...lines: readonly string[]) => void;

/** A line of the report: what was measured, and what is aimed at. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly shown: string;
  readonly target?: Target | undefined;
}

export type Target = { readonly least: number } | { readonly most: number };

const two = (value: number) => value.toFixed(2);

/** A ratio with the least and the most of its rounds. */
export const ratio = (name: string, { median, least, most }: Spread, target?: Target): Figure => ({
  name,
  value: median,
  shown: spread({ median, least, most }),
  target,
});

export const spread = ({ median, least, most }: Spread): string => `${two(median)} (${two(least)}–${two(most)})`;

export const bytes = (name: string, value: number, target?: Target): Figure => ({
  ...{ name, value, target },
  shown: `${Math.round(value)} bytes`,
});

export const sought = (target: Target): string => ('least' in target ? `≥ ${target.least}` : `≤ ${target.most}`);
export const isMet = (value: number, target: Target): 'met' | 'not met' =>
  ('least' in target ? value >= target.least : value <= target.most) ? 'met' : 'not met';

/** A table in Markdown, its columns aligned so that it reads as well in a terminal. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, i) => (cells[i] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** Figures beside their targets. */
export const figures = (list: readonly Figure[]): string =>
  table(
    ['', 'measured', 'target', ''],
    list.map((figure) => [
      figure.name,
      figure.shown,
      figure.target ? sought(figure.target) : '',
      figure.target ? isMet(figure.value, figure.target) : '',
    ]),
  );

/** The page with this section of an engine, in place of the one that it had or behind the others. */
export function withSection(page: string, engine: string, section: string): string {
  const mark = (name: string) => `<!-- figures: ${name} -->`;
  const [before = '', ...sections] = page.split(/^(?=<!-- figures: )/m);
  const written = `${mark(engine)}\n\n${section.trim()}\n`;
  const at = sections.findIndex((each) => each.startsWith(mark(engine)));
  const all = at < 0 ? [...sections, written] : sections.with(at, written);
  return `${[before, ...all].map((each) => each.trim()).join('\n\n')}\n`;
}
