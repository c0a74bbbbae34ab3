import type { InferOutput } from 'valibot';
import { deployed } from '../deployed.ts';
import { type Clock, seconds } from '../domain/clock.ts';
import { type IssueRequest, issueTokens, type TokenDeployment } from '../domain/issuing.ts';
import { endpoint, invalidRequest } from '../http.ts';
import { jsonBody } from '../json-body.ts';
import type { Runtime } from '../runtime.ts';
import { invalidGrant, isPublic, issuingClient, tokenAnswer } from '../store-answers.ts';
import { tokensRequest } from '../store-requests.ts';

/** Stores a grant that began without a code, and its tokens: minted here, or by the authorization server. */
export const createIssueTokens = ({ stores, storeNames, clients, clock, log }: Runtime) => {
  const tokens = stores.tokens(storeNames?.accessTokenStore);
  return endpoint('issue-tokens', log, async (event) => {
    const { refreshToken, idToken, minted, scopes = [], ...granted } = jsonBody(event, tokensRequest);
    const client = await issuingClient(clients, granted.clientId);
    const { applicationId } = client;
    const issued = await issueTokens(tokens, {
      authorization: { ...(applicationId && { applicationId }), ...granted, scopes },
      publicClient: isPublic(client),
      refreshToken: refreshToken || minted?.refresh_token !== undefined,
      ...(idToken !== undefined && { idToken }),
      ...(minted && { minted: mintedElsewhere(minted, tokens, clock) }),
    });
    if (issued === 'barred') throw invalidGrant('revoked');
    return tokenAnswer(201, clock, { outcome: 'issued', ...issued });
  });
};

function mintedElsewhere(
  minted: NonNullable<InferOutput<typeof tokensRequest>['minted']>,
  { recognition, issuing }: TokenDeployment,
  clock: Clock,
): NonNullable<IssueRequest['minted']> {
  if (!recognition.foreign) {
    throw invalidRequest('minted: found an object; accepted: nothing, unless the store has foreignTokens');
  }
  const token = (value: string, expiresIn: number) => ({ value, expiresAt: seconds(clock) + expiresIn, foreign: true });
  const { access_token, expires_in, refresh_token, refresh_token_expires_in } = minted;
  return {
    ...(access_token && { accessToken: token(access_token, expires_in ?? issuing.accessToken.expiresIn) }),
    ...(refresh_token && {
      refreshToken: token(refresh_token, refresh_token_expires_in ?? issuing.refreshToken.expiresIn),
    }),
  };
}

export const handler = deployed(createIssueTokens, 'issue-tokens');
