import { deployed } from '../deployed.ts';
import { exchangeCode } from '../domain/authorization-codes.ts';
import { endpoint } from '../http.ts';
import { jsonBody } from '../json-body.ts';
import type { Runtime } from '../runtime.ts';
import { invalidGrant, isPublic, issuingClient, tokenAnswer } from '../store-answers.ts';
import { exchangeRequest } from '../store-requests.ts';

/** Redeems an authorization code for tokens (RFC 6749 §4.1.3): for exactly one of any number of callers. */
export const createExchangeCode = ({ stores, storeNames, clients, clock, log }: Runtime) => {
  const codes = stores.codes(storeNames?.authorizationCodeStore);
  const tokens = stores.tokens(storeNames?.accessTokenStore);
  return endpoint('exchange-code', log, async (event) => {
    const request = jsonBody(event, exchangeRequest);
    const client = await issuingClient(clients, request.clientId);
    const result = await exchangeCode(codes, tokens, { ...request, publicClient: isPublic(client) });
    switch (result.outcome) {
      case 'exchanged':
        return tokenAnswer(200, clock, result, result.state === undefined ? {} : { state: result.state });
      case 'replayed':
        throw invalidGrant(result.outcome, { client_id: client.clientId });
      default:
        throw invalidGrant(result.outcome);
    }
  });
};

export const handler = deployed(createExchangeCode, 'exchange-code');
