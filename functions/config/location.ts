const local = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?|\/.*)$/;

/** Whether a server runs on this machine: by its URL, its host, a socket's path, or each of its `host:port`. */
export function isLocal({ url, host, hosts }: Readonly<Record<string, unknown>>): boolean {
  if (typeof url === 'string') {
    const { hostname, searchParams } = parsedUrl(url) ?? {};
    // Drivers let a parameter of the URL overrule its host.
    return hostname !== undefined && local.test(hostname) && !searchParams?.has('host');
  }
  if (Array.isArray(hosts)) {
    return hosts.length > 0 && hosts.every((each) => typeof each === 'string' && local.test(each.replace(/:\d+$/, '')));
  }
  return typeof host === 'string' && local.test(host);
}

export const parsedUrl = (url: unknown): URL | undefined =>
  typeof url === 'string' ? (URL.parse(url) ?? undefined) : undefined;
