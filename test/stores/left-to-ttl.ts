/** The cases of the suite that are about records that a purge removes, for an engine whose records all leave by their TTL. */
export const leftToTtl: Readonly<Record<string, readonly string[]>> = {
  'the engine removes codes by its own expiry': [
    'the purge removes the codes that are due and nothing else: an expired or redeemed one stays until retainUntil',
    'a purge stops at its deadline between two batches and says that more is due; the next one goes on',
    'a purge says what is left: how many records are due after it, and since when',
    'purges at once count every record once, and leave nothing behind that is due',
  ],
  'the engine removes accessTokens by its own expiry': [
    'the purge removes the access tokens that have expired and nothing else: their grants and refresh tokens go on',
  ],
  'the engine removes grants by its own expiry': [
    'the purge removes the grants that are due with all their tokens and nothing else: an expired or revoked one stays until retainUntil',
    'a grant whose retainUntil a later token or rotation has moved is not removed before that',
    'a foreign digest can be stored again once its grant was removed',
    'a purge beside traffic disturbs neither what is live nor who is storing, finding and rotating it',
  ],
  'the engine removes grants, revocations by its own expiry': [
    'the purge removes the marks of revocations that are due and nothing else: until then they bar what comes late',
  ],
  'the engine removes codes, grants, revocations by its own expiry': [
    'a purge removes at most limit records, of all kinds together, and says whether more is due',
  ],
  'the engine removes artifacts by its own expiry': [
    'the purge removes the artifacts that are due and nothing else: one without retainUntil goes at its expiry',
  ],
  'the engine removes clientAccessTokens by its own expiry': [
    'the purge removes the client access tokens that have expired and nothing else',
  ],
};
