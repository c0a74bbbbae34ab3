import type { OpenOptions } from './open-stores.ts';

/** A token of IAM or a secret's password, asked for every new connection, so that a rotated one is noticed. */
export const passwordFromAws: NonNullable<OpenOptions['password']> = async (reference) => {
  const { databaseToken, secretPassword } = await import('./aws.ts');
  return 'secretArn' in reference ? secretPassword(reference.secretArn) : databaseToken(reference);
};
