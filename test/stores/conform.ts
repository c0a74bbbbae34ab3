import { describe, expect, it } from 'vitest';
import { conformance, type Harness } from '../conformance/index.ts';

/** Runs the whole suite against an engine. The cases that do not apply to it must be exactly these, by the reason why. */
export function conform(
  engine: string,
  harness: Harness,
  omitted: Readonly<Record<string, readonly string[]>> = {},
): void {
  const cases = conformance(harness);
  const applied = cases.filter((each) => each.omitted === undefined);
  describe(engine, () => {
    for (const [theme, ofTheme] of Map.groupBy(applied, (each) => each.theme)) {
      describe(theme, () => {
        for (const { guarantee, name, run } of ofTheme) it(`${guarantee}: ${name}`, run);
      });
    }
    it('leaves out what its test file says, and nothing else', () => {
      const left = Map.groupBy(
        cases.filter((each) => each.omitted !== undefined),
        (each) => each.omitted,
      );
      expect(Object.fromEntries([...left].map(([reason, some]) => [reason, some.map(({ name }) => name)]))).toEqual(
        omitted,
      );
    });
  });
}
