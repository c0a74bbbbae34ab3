import { createHash } from 'node:crypto';

/** The parameter of a deployment for something, which may have a name that its user chose. */
export const parameterName = (deployment: string, ...path: readonly string[]): string =>
  `/${[deployment, ...path.map(segment)].join('/')}`;

/** A name as SSM takes it; one that must be changed for that keeps apart from others by its digest. */
const segment = (name: string): string =>
  /^[A-Za-z0-9_.-]{1,64}$/.test(name)
    ? name
    : `${name.replaceAll(/[^A-Za-z0-9_.-]+/g, '-').slice(0, 64)}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
