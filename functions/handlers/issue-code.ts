import { deployed } from '../deployed.ts';
import { createCode } from '../domain/authorization-codes.ts';
import { seconds } from '../domain/clock.ts';
import { InputError } from '../domain/errors.ts';
import { answer, endpoint, invalidRequest } from '../http.ts';
import { jsonBody } from '../json-body.ts';
import type { Runtime } from '../runtime.ts';
import { issuingClient } from '../store-answers.ts';
import { codeRequest } from '../store-requests.ts';

/** Stores an authorization code for what a resource owner has granted. */
export const createIssueCode = ({ stores, storeNames, clients, clock, log }: Runtime) => {
  const codes = stores.codes(storeNames?.authorizationCodeStore);
  return endpoint('issue-code', log, async (event) => {
    const body = jsonBody(event, codeRequest);
    const { redirectUri, state, codeChallenge, codeChallengeMethod, dpopJkt, scopes = [], ...granted } = body;
    const { applicationId } = await issuingClient(clients, granted.clientId);
    const { code, expiresAt } = await createCode(codes, {
      authorization: { ...(applicationId && { applicationId }), ...granted, scopes, grantType: 'authorization_code' },
      ...(redirectUri !== undefined && { redirectUri }),
      ...(state !== undefined && { state }),
      ...(codeChallenge !== undefined && { codeChallenge }),
      ...(codeChallengeMethod && { codeChallengeMethod }),
      ...(dpopJkt !== undefined && { dpopJkt }),
    }).catch((error) => {
      throw error instanceof InputError ? invalidRequest(error.message) : error;
    });
    return answer(201, { outcome: 'issued', code, expires_in: expiresAt - seconds(clock) });
  });
};

export const handler = deployed(createIssueCode, 'issue-code');
