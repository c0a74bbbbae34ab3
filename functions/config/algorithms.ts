/** What clients may sign with (RFC 7518 §3.1, RFC 8037, RFC 9864): asymmetric algorithms, since a symmetric key would have to be kept here. */
export const signatureAlgorithms = [
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
] as const;
