import type { Configuration } from '../functions/config/configuration.ts';
import { pathText } from '../functions/config/faults.ts';
import { type FunctionName, functionNames, useOf } from '../functions/config/functions.ts';
import type { UsedConnection } from '../functions/config/places.ts';
import type { Warning } from '../functions/config/warnings.ts';

/** Functions that only look tokens up and yet write artifacts, such as the `jti` of an assertion. */
const writingLookups = (configuration: Configuration): FunctionName[] =>
  functionNames.filter((name) => {
    const { accessTokenStores, artifactStores } = useOf(name, configuration);
    return accessTokenStores === 'read' && artifactStores === 'write';
  });

/** Where tokens and artifacts stand together, and who may write the ones may write the others: in a table, a cache. */
export function sharingWarnings(
  { section, name, kinds }: UsedConnection,
  { configuration }: { readonly configuration: Configuration },
  place: string,
): Warning[] {
  const functions = writingLookups(configuration);
  return functions.length > 0 && kinds.includes('artifactStores') && kinds.includes('accessTokenStores')
    ? [
        {
          path: pathText([section, name]),
          text:
            `functions that should only read tokens write artifacts to their ${place}: ${functions.join(', ')}; ` +
            'give the artifacts a cache of their own',
        },
      ]
    : [];
}
