// The expiry partitions of access tokens, as every sql/<dbms>/oauth-partitions.sql makes them: one of tokens that live longer
// than a day, of number 0, and two rings, in which a token stands by the window, `width` seconds wide, that it expires in.

export interface Ring {
  readonly slots: readonly number[];
  readonly width: number;
}

export const rings: readonly Ring[] = [
  { slots: [1, 2, 3], width: 3600 },
  { slots: [4, 5, 6], width: 86_400 },
];
