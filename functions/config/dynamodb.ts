/** The attributes of a DynamoDB table that whoever creates it must know: its key, and the time when an item may go. */
export const tableAttributes = { partitionKey: 'p', sortKey: 'k', timeToLive: 'l' } as const;

/** All that a purge reads of an item, names in a condition and is permitted to: nothing of what is stored. */
export const purgedAttributes: readonly string[] = Object.values(tableAttributes);
