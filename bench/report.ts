import type { Spread } from './measure.ts';

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

const sought = (target: Target): string => ('least' in target ? `≥ ${target.least}` : `≤ ${target.most}`);
const met = ({ value, target }: Figure): boolean =>
  target === undefined || ('least' in target ? value >= target.least : value <= target.most);

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
      figure.target ? (met(figure) ? 'met' : 'not met') : '',
    ]),
  );
