import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Another process has the folder. */
export class FolderInUse extends Error {
  override readonly name = 'FolderInUse';
}

const SQLITE_BUSY = 5;

/**
 * Takes a folder for this process alone; what it gives lets it go. An embedded database does not notice a second process:
 * both would write, and one loses what it wrote. The system drops this lock with its process, however that ends.
 *
 * @throws {FolderInUse} another process has taken it
 */
export function lockFolder(path: string): () => void {
  const lock = new DatabaseSync(join(path, 'lock'));
  try {
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return () => lock.close();
  } catch (cause) {
    lock.close();
    if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY) throw cause;
    throw new FolderInUse(`the data directory ${path} is in use by another process`, { cause });
  }
}
