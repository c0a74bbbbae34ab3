/** What the wrapped keys are for, as AWS KMS is told; nothing else that a key of KMS encrypted is a key of the ring. */
export const keyPurpose = 'oauth2-stores keys';

/** What the wrapped keys are bound to (https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html). */
export const keyContext = (generation: number): Record<string, string> => ({
  purpose: keyPurpose,
  generation: `${generation}`,
});
