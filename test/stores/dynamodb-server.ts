import { afterAll } from 'vitest';
import { findDynoxide, startDynamodb } from '../engines/dynamodb.ts';

/** What every client of an emulator needs; any credentials will do. */
export const emulated = { region: 'local', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };

/** The server of DYNAMODB_URL, or the emulator that npm carries, until the tests of the file are over; none where npm has none for the system. */
export async function findServer(): Promise<string | undefined> {
  const url = process.env.DYNAMODB_URL;
  if (url !== undefined || findDynoxide() === undefined) return url;
  const server = await startDynamodb('dynoxide 1.2.1');
  afterAll(server.stop);
  return server.url;
}
