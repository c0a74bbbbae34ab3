import { createHash } from 'node:crypto';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';

// What one stack knows and another needs crosses through parameters of SSM: an export would forbid the first stack every
// change of what it exports for as long as the other reads it.

/** The parameter of a deployment for something, which may have a name that its user chose. */
export const parameterName = (deployment: string, ...path: readonly string[]): string =>
  `/${[deployment, ...path.map(segment)].join('/')}`;

/** A name as SSM takes it; one that must be changed for that keeps apart from others by its digest. */
const segment = (name: string): string =>
  /^[A-Za-z0-9_.-]{1,64}$/.test(name)
    ? name
    : `${name.replaceAll(/[^A-Za-z0-9_.-]+/g, '-').slice(0, 64)}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;

/** Publishes facts, each under its name below `path`. */
export class Facts extends Construct {
  constructor(scope: Construct, id: string, path: string, facts: Readonly<Record<string, string>>) {
    super(scope, id);
    for (const [name, stringValue] of Object.entries(facts)) {
      new StringParameter(this, name, { parameterName: `${path}/${name}`, stringValue });
    }
  }
}

/**
 * Facts that another stack publishes: CloudFormation reads them anew for each deployment of this one. Each is asked for only
 * where it is used, since CloudFormation warns of a parameter that nothing refers to.
 */
export const publishedFacts = <Name extends string>(
  scope: Construct,
  path: string,
  names: readonly Name[],
): Readonly<Record<Name, string>> =>
  Object.defineProperties(
    {},
    Object.fromEntries(
      names.map((name) => [
        name,
        { enumerable: true, get: () => StringParameter.valueForStringParameter(scope, `${path}/${name}`) },
      ]),
    ),
  ) as Record<Name, string>;
