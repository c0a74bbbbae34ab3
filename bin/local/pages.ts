import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';

// The pages that a person sees: no script, nothing from elsewhere, readable without a pointer and in the dark.

/** HTML whose values have been escaped. */
interface Html {
  readonly text: string;
}

const escaped = (value: string) => value.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** A template whose values are text, and are escaped, or Html. */
function html(literals: TemplateStringsArray, ...values: (string | Html | readonly Html[])[]): Html {
  const texts = values.map((value) => {
    if (typeof value === 'string') return escaped(value);
    return 'text' in value ? value.text : value.map(({ text }) => text).join('');
  });
  return { text: String.raw({ raw: literals }, ...texts) };
}

const nothing: Html = { text: '' };

const style = `
:root { color-scheme: light dark; --accent: light-dark(#0b57d0, #a8c7fa); --on-accent: light-dark(#fff, #062e6f);
  --line: light-dark(#c4c7c5, #5f6368); --muted: light-dark(#444746, #c4c7c5); --card: light-dark(#fff, #1f1f1f);
  --ground: light-dark(#f0f4f9, #131314); --wrong: light-dark(#b3261e, #f2b8b5) }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--ground);
  font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 26rem; padding: 2rem; border-radius: 1rem; background: var(--card) }
main.wide { max-width: 44rem }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; font-weight: 600; line-height: 1.25 }
p { margin: 0 0 1rem; color: var(--muted) }
label { display: block; margin: 1rem 0 .25rem; font-weight: 500 }
input { width: 100%; padding: .625rem .75rem; border: 1px solid var(--line); border-radius: .5rem; font: inherit;
  background: transparent; color: inherit }
ul { margin: 0 0 1rem; padding: 0; list-style: none; border: 1px solid var(--line); border-radius: .5rem }
li { padding: .625rem .75rem } li + li { border-top: 1px solid var(--line) }
pre { margin: 0 0 1rem; padding: .75rem; border: 1px solid var(--line); border-radius: .5rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font: .875rem/1.5 ui-monospace, monospace }
.wrong { color: var(--wrong); font-weight: 500 }
.choices { display: flex; flex-direction: row-reverse; gap: .75rem; margin-top: 1.5rem }
button { flex: 1; padding: .625rem 1rem; border: 1px solid var(--line); border-radius: 2rem; font: inherit;
  font-weight: 500; cursor: pointer; background: transparent; color: var(--accent) }
button.first { border-color: var(--accent); background: var(--accent); color: var(--on-accent) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
strong { overflow-wrap: anywhere }`;

/** Headers of every page. No `form-action`: browsers apply it to the redirect to the client that follows a form, too. */
const headers = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

export interface Page {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

function page(title: string, content: Html, width: 'narrow' | 'wide' = 'narrow'): Page {
  const { text } = html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${{ text: style }}</style>
<main class="${width}">
<h1>${title}</h1>
${content}
</main>
</html>
`;
  return { headers, body: text };
}

export function sendPage(response: ServerResponse, status: number, { headers, body }: Page): void {
  response.writeHead(status, headers).end(body);
}

/** Asks who the user is. `failedAs`: the name that was given with a wrong password. */
export const loginPage = (action: string, clientId: string, failedAs?: string): Page =>
  page(
    'Sign in',
    html`<p>to continue to <strong>${clientId}</strong></p>
<form method="post" action="${action}/login">
${failedAs === undefined ? nothing : html`<p class="wrong" role="alert" id="wrong">The name or the password is wrong.</p>`}
<label for="name">Name</label>
<input id="name" name="name" value="${failedAs ?? ''}" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="200"${failedAs === undefined ? html` autofocus` : html` aria-describedby="wrong"`}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1000"${failedAs === undefined ? nothing : html` autofocus aria-describedby="wrong"`}>
<div class="choices">
<button class="first">Sign in</button>
<button formaction="${action}/cancel" formnovalidate>Cancel</button>
</div>
</form>`,
  );

const WORDS: Readonly<Record<string, string>> = {
  openid: 'Know who you are',
  offline_access: 'Keep this access while you are away',
};

/** Asks whether the client may have these scopes, beyond what it has been given already. */
export const consentPage = (action: string, clientId: string, user: string, scopes: readonly string[]): Page =>
  page(
    'Allow access?',
    html`<p><strong>${clientId}</strong> asks for access to the account <strong>${user}</strong>${scopes.length === 0 ? '.' : ':'}</p>
${scopes.length === 0 ? nothing : html`<ul>${scopes.map((scope) => html`<li>${WORDS[scope] ?? scope}</li>`)}</ul>`}
<form method="post" action="${action}/consent">
<div class="choices">
<button class="first">Allow</button>
<button formaction="${action}/cancel">Deny</button>
</div>
</form>`,
  );

/** What went wrong, in the protocol's words. */
export const errorPage = (error: string, description = ''): Page =>
  page('This did not work', html`<p class="wrong">${description || error}</p><p>${error}</p>`);

/** What the example client gets back, and the command that redeems it. */
export const callbackPage = (command: string): Page =>
  page(
    'The code has arrived',
    html`<p>This page is the redirect URI of the example client. Redeem the code, once:</p><pre>${command}</pre>`,
    'wide',
  );
