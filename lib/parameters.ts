import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';

// What one stack knows and another needs crosses through parameters of SSM: an export would forbid the first stack every
// change of what it exports for as long as the other reads it.

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
