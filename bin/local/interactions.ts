import type { IncomingMessage, ServerResponse } from 'node:http';
import { errors, type Interaction, type default as Provider } from 'oidc-provider';
import { failureFields, type Log } from '../../functions/log.ts';
import { consentPage, errorPage, loginPage, type Page, sendPage } from './pages.ts';
import { passwordMatches } from './passwords.ts';
import { readBody } from './request-body.ts';

const PATH = /^\/interaction\/([\w-]+)(?:\/(login|consent|cancel))?$/;

/** Where the provider sends a browser whose user must sign in or consent. */
export const interactionPath = (uid: string): string => `/interaction/${uid}`;

export type Users = Readonly<Record<string, { readonly passwordDigest: string }>>;

/**
 * Signing in and consenting: `GET` shows the page that the provider waits for, `POST` takes the answer. Whose request it
 * is says the provider's cookie, which no other site's form carries (SameSite), and which must be that of the path, which
 * no other page knows. Of any other request it says that it is none of its own.
 */
export function createInteractions(
  provider: Provider,
  users: Users,
  log: Log,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const answers = { login, consent, cancel };

  async function respond(uid: string, answer: string | undefined, request: IncomingMessage, response: ServerResponse) {
    try {
      const interaction = await provider.interactionDetails(request, response);
      const { name } = interaction.prompt;
      if (interaction.uid !== uid) throw new errors.SessionNotFound('the cookie is that of another sign-in');
      if (request.method === 'GET' && answer === undefined) sendPage(response, 200, pageOf(interaction));
      else if (request.method === 'POST' && (answer === name || answer === 'cancel'))
        await answers[answer as keyof typeof answers](interaction, request, response);
      else sendPage(response, 404, errorPage('not_found', 'There is no such page now.'));
    } catch (error) {
      if (!(error instanceof errors.SessionNotFound)) throw error;
      const advice = 'This sign-in has ended. Go back to the application and begin again.';
      sendPage(response, 400, errorPage('session_not_found', advice));
    }
  }

  async function cancel(_: Interaction, request: IncomingMessage, response: ServerResponse) {
    const result = { error: 'access_denied', error_description: 'the user has cancelled' };
    await provider.interactionFinished(request, response, result);
  }

  async function login(interaction: Interaction, request: IncomingMessage, response: ServerResponse) {
    const body = await readBody(request);
    if (body === 'too large') return sendPage(response, 413, errorPage('invalid_request', 'That is too long.'));
    const form = new URLSearchParams(body.toString());
    const name = form.get('name') ?? '';
    if (!(await passwordMatches(users[name]?.passwordDigest, form.get('password') ?? '')))
      return sendPage(response, 422, pageOf(interaction, name));
    await provider.interactionFinished(request, response, { login: { accountId: name, amr: ['pwd'] } });
  }

  /** A consent is remembered with the session, and asked for again when the client wants more. */
  async function consent(interaction: Interaction, request: IncomingMessage, response: ServerResponse) {
    const { session, grantId, prompt, params } = interaction;
    const { missingOIDCScope = [], missingOIDCClaims = [], missingResourceScopes = {} } = prompt.details as Missing;
    const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
    const grant = known ?? new provider.Grant({ accountId: session?.accountId, clientId: String(params.client_id) });
    grant.addOIDCScope(missingOIDCScope.join(' '));
    grant.addOIDCClaims(missingOIDCClaims);
    for (const [resource, scopes] of Object.entries(missingResourceScopes)) {
      grant.addResourceScope(resource, scopes.join(' '));
    }
    await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
  }

  return (request, response) => {
    const [, uid, answer] = PATH.exec(request.url ?? '') ?? [];
    if (uid === undefined) return false;
    respond(uid, answer, request, response).catch((error: unknown) => {
      if (response.destroyed) return;
      log('error', 'sign-in failed', failureFields(error));
      sendPage(response, 500, errorPage('server_error', 'Something went wrong here. Please try again.'));
    });
    return true;
  };
}

/** What a consent is to add to what the user has granted before. */
interface Missing {
  readonly missingOIDCScope?: string[];
  readonly missingOIDCClaims?: string[];
  readonly missingResourceScopes?: Readonly<Record<string, string[]>>;
}

function pageOf({ uid, prompt, session, params }: Interaction, failedAs?: string): Page {
  const action = interactionPath(uid);
  const clientId = String(params.client_id);
  if (prompt.name === 'login') return loginPage(action, clientId, failedAs);
  const scopes = String(params.scope ?? '').split(' ');
  return consentPage(action, clientId, session?.accountId ?? '', scopes.filter(Boolean));
}
