import { createHash, timingSafeEqual } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { errors, type Interaction, type KoaContextWithOIDC, type default as Provider } from 'oidc-provider';

// Where the provider sends a browser whose user must sign in: one page that asks for name and password, and takes the
// answer as consent too. It knows one user, and does not slow anybody down who guesses: an example, not a login.

const PATH = /^\/sign-in\/[\w-]+$/;

export const signInPath = (uid: string): string => `/sign-in/${uid}`;

export interface User {
  readonly name: string;
  readonly password: string;
}

type Context = Pick<KoaContextWithOIDC, 'req' | 'res' | 'method' | 'path' | 'status' | 'body' | 'set' | 'redirect'>;

/** Has the provider answer the requests for the page. */
export function addSignIn(provider: Provider, user: User): void {
  provider.use((ctx, next) => (PATH.test(ctx.path) ? signIn(provider, user, ctx as unknown as Context) : next()));
}

async function signIn(provider: Provider, user: User, ctx: Context): Promise<void> {
  try {
    // The provider's cookie says whose request it is; no other site's form carries it (SameSite).
    const interaction = await provider.interactionDetails(ctx.req, ctx.res);
    const form = ctx.method === 'POST' ? new URLSearchParams(await text(ctx.req)) : undefined;
    if (!form) showPage(ctx, 200, interaction);
    else if (form.get('name') === user.name && isSame(form.get('password') ?? '', user.password)) {
      const result = await resultOf(provider, interaction, user.name);
      ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
    } else showPage(ctx, 422, interaction, 'The name or the password is wrong.');
  } catch (error) {
    if (!(error instanceof errors.SessionNotFound)) throw error;
    ctx.status = 400;
    ctx.body = 'This sign-in has ended. Begin again.';
  }
}

const sha256 = (value: string) => createHash('sha256').update(value).digest();
const isSame = (given: string, expected: string) => timingSafeEqual(sha256(given), sha256(expected));

/** Whoever signs in here agrees to what the client asks for. */
async function resultOf(provider: Provider, { params }: Interaction, accountId: string) {
  const grant = new provider.Grant({ accountId, clientId: String(params.client_id) });
  grant.addOIDCScope(String(params.scope));
  return { login: { accountId }, consent: { grantId: await grant.save() } };
}

const escaped = (value: string) => value.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

function showPage(ctx: Context, status: number, { uid, params }: Interaction, problem = ''): void {
  ctx.status = status;
  ctx.set({
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    'cache-control': 'no-store',
  });
  ctx.body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sign in (example)</title>
<h1>Sign in</h1>
<p>An example: <strong>${escaped(String(params.client_id))}</strong> asks for <strong>${escaped(String(params.scope))}</strong>.</p>
<p role="alert">${problem}</p>
<form method="post" action="${signInPath(uid)}">
<p><label>Name <input name="name" autocomplete="username" required></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button>Sign in and allow</button></p>
</form>
</html>
`;
}
