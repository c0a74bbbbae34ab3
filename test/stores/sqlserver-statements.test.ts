import { describe, expect, it } from 'vitest';
import { namesIn, parameters } from '../../functions/stores/sqlserver-parameters.ts';
import { batchesOf } from '../../functions/stores/sqlserver-schema.ts';
import { others, planted, scripts, texts } from './sqlserver-texts.ts';
import { faultsIn } from './tsql-grammar.ts';

describe('a complete grammar of T-SQL', () => {
  it.each([...texts, ...others])('takes the statement %s', (_name, text) => {
    expect(faultsIn(text)).toEqual([]);
  });

  it.each(scripts)('takes each batch of the script %s', (_name, script) => {
    const batches = batchesOf(script);
    expect(batches.length).toBeGreaterThan(3);
    for (const batch of batches) expect(faultsIn(batch)).toEqual([]);
  });

  it.each(planted)('notices %s', (_mistake, made) => {
    const changed = texts.map(([, text]) => [text, made(text)] as const).filter(([text, made]) => text !== made);
    const shortest = changed.map(([, text]) => text).toSorted((one, other) => one.length - other.length);
    expect(shortest.length).toBeGreaterThan(2);
    for (const text of shortest.slice(0, 3)) expect(faultsIn(text), text).not.toEqual([]);
  });
});

describe('the names in the statements', () => {
  const used = new Set(texts.flatMap(([, text]) => namesIn(text)));

  it('are those that have a type, each of them', () => {
    expect([...used].toSorted()).toEqual(Object.keys(parameters).toSorted());
  });

  it('do not count what a statement declares, or the server knows by itself', () => {
    expect(namesIn('DECLARE @a int = @b; SELECT @@ROWCOUNT, @a, @c, @c;')).toEqual(['b', 'c']);
  });
});

describe('what deadlocks and races would come of', () => {
  const all = texts.map(([, text]) => text).join('\n');

  it('is in no statement: MERGE, dirty reads, serializable sessions, locks of whole tables', () => {
    expect(all).not.toMatch(/\bMERGE\b|NOLOCK|READUNCOMMITTED|SET TRANSACTION|TABLOCK|IGNORE_DUP_KEY/i);
  });

  it('every batch that changes more than one row set is one transaction, rolled back by any error', () => {
    for (const [name, text] of texts) {
      const changes = text.match(/\b(INSERT INTO|UPDATE|DELETE)\s+(?!@)/g)?.length ?? 0;
      if (changes < 2 || name.startsWith('revokeBy')) continue;
      expect(text, name).toMatch(/SET XACT_ABORT ON;[\s\S]*BEGIN TRANSACTION;[\s\S]*COMMIT TRANSACTION;/);
    }
  });

  it('an insert that must not be made twice looks for its row under a lock of its key, or meets it as an error', () => {
    for (const [name, text] of texts) {
      if (!/(IF @@ROWCOUNT = 0|WHERE NOT EXISTS)\s[\s\S]*INSERT|INSERT[\s\S]*WHERE NOT EXISTS/.test(text)) continue;
      // Whoever adds to a grant has locked its row: addAccess by UPDLOCK, a rotation by its own update.
      expect(text, name).toMatch(/WITH \(UPDLOCK, HOLDLOCK\)|WITH \(UPDLOCK\)|OUTPUT inserted\.grant_id INTO @used/);
    }
  });
});
