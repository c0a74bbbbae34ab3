import { Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Says why the policies below `scope` name a resource with a wildcard, to cdk-nag and to those who read the template. */
export function acknowledgeWildcard(scope: IConstruct, resourceArn: string, reason: string): void {
  const resource = asNagWritesIt(Stack.of(scope).resolve(resourceArn));
  Validations.of(scope).acknowledge({ id: `AwsSolutions-IAM5[Resource::${resource}]`, reason });
}

function asNagWritesIt(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const [[intrinsic, argument] = []] = Object.entries(value);
  if (intrinsic === 'Fn::Join') return (argument[1] as unknown[]).map(asNagWritesIt).join(argument[0]);
  return `<${[argument].flat().join('.')}>`;
}
