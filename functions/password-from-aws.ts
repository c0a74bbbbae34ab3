import type { OpenOptions } from './open-stores.ts';

/** A token of IAM or a secret's password, asked for every new connection, so that a rotated one is noticed. */
export const passwordFromAws: NonNullable<OpenOptions['password']> = async (reference) => {
  const { cacheToken, databaseToken, secretPassword } = await import('./aws.ts');
  if ('secretArn' in reference) return secretPassword(reference.secretArn);
  return 'cacheName' in reference ? cacheToken(reference) : databaseToken(reference);
};
