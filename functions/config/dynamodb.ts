/** The attributes of a DynamoDB table that whoever creates it must know: its key, and the time when an item may go. */
export const tableAttributes = { partitionKey: 'p', sortKey: 'k', timeToLive: 'l' } as const;

/** All that a purge reads of an item and is permitted to read: nothing of a token, its holder or its attributes. */
export const purgedAttributes: readonly string[] = Object.values(tableAttributes);
