import type { OpenOptions } from './open-stores.ts';

/** A token of IAM, or whom a secret lets in, asked for every new connection, so that a rotated one is noticed. */
export const passwordFromAws: NonNullable<OpenOptions['password']> = async (reference) => {
  const { cacheToken, databaseToken, secretLogin } = await import('./aws.ts');
  if ('secretArn' in reference) return secretLogin(reference.secretArn);
  return 'cacheName' in reference ? cacheToken(reference) : databaseToken(reference);
};
