import { databaseServer } from './database-server.ts';

// The database engines of which a deployment reaches servers that are there, and creates none.

export const oracle = databaseServer({ title: 'Oracle' });
