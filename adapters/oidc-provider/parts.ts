import type { CodeDeployment } from '../../functions/domain/authorization-codes.ts';
import type { TokenDeployment } from '../../functions/domain/issuing.ts';
import type { ArtifactStore } from '../../functions/domain/ports.ts';
import type { Requests } from './requests.ts';

/** What the models share. */
export interface AdapterParts {
  readonly codes: CodeDeployment;
  readonly tokens: TokenDeployment;
  readonly artifacts: ArtifactStore;
  readonly requests: Requests;
  readonly clockTolerance: number;
  /** Ends every token that rests on one Grant of the provider. */
  readonly revokeConsent: (grantId: string) => Promise<void>;
  /** Ends what a code gave, or is about to give: the answer to its replay (RFC 6749 §4.1.2). */
  readonly revokeGrantOfCode: (code: string) => Promise<void>;
}
