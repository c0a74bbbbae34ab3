// What a browser and its user do for the code flow: follow redirects, keep cookies, fill in forms.

interface Cookie {
  readonly value: string;
  readonly path: string;
}

export interface User {
  readonly name: string;
  readonly password: string;
}

/**
 * Opens an authorization request as a person without a session would, signs in, consents, and stops where the client's
 * redirect URI is called: with that URL, and the code or error in it.
 *
 * @throws {Error} a page that is neither
 */
export async function authorizeAs(user: User, request: URL, redirectUri: string): Promise<URL> {
  const cookies = new Map<string, Cookie>();
  let url = request;
  let form: URLSearchParams | undefined;
  for (let page = 0; page < 12; page++) {
    const response = await send(url, form, cookies);
    const location = response.headers.get('location');
    if (location !== null) {
      url = new URL(location, url);
      form = undefined;
      if (url.href.startsWith(redirectUri)) return url;
      continue;
    }
    const html = await response.text();
    const action = /<form method="post" action="([^"]+)"/.exec(html)?.[1];
    if (response.status !== 200 || action === undefined)
      throw new Error(`status ${response.status} from ${url.pathname}`);
    url = new URL(action, url);
    form = new URLSearchParams(html.includes('name="password"') ? { ...user } : {});
  }
  throw new Error('no end of pages and redirects');
}

async function send(url: URL, form: URLSearchParams | undefined, cookies: Map<string, Cookie>): Promise<Response> {
  const sent = [...cookies]
    .filter(([, { path }]) => url.pathname.startsWith(path))
    .map(([name, { value }]) => `${name}=${value}`);
  const response = await fetch(url, {
    redirect: 'manual',
    headers: { cookie: sent.join('; ') },
    ...(form && { method: 'POST', body: form }),
  });
  for (const line of response.headers.getSetCookie()) {
    const [pair = '', ...attributes] = line.split('; ');
    const name = pair.slice(0, pair.indexOf('='));
    const value = pair.slice(name.length + 1);
    const path = attributes.find((attribute) => attribute.startsWith('path='))?.slice('path='.length) ?? '/';
    if (value === '') cookies.delete(name);
    else cookies.set(name, { value, path });
  }
  return response;
}
