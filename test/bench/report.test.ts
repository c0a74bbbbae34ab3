import { describe, expect, it } from 'vitest';
import { withSection } from '../../bench/report.ts';

const page = '# Figures\n\ntext\n\n<!-- figures: one -->\n\n## One\n\n1\n\n<!-- figures: two -->\n\n## Two\n\n2\n';

describe('the page of figures', () => {
  it('has the section of an engine replaced where it stands, and the others as they were', () => {
    expect(withSection(page, 'one', '## One\n\n### Part\n\nnew\n')).toBe(
      page.replace('## One\n\n1', '## One\n\n### Part\n\nnew'),
    );
    expect(withSection(page, 'two', '## Two\n\nnew')).toBe(page.replace('## Two\n\n2', '## Two\n\nnew'));
  });

  it('has the section of a new engine behind the others', () => {
    expect(withSection(page, 'three', '## Three')).toBe(`${page}\n<!-- figures: three -->\n\n## Three\n`);
  });
});
