import type { Configuration } from '../../functions/config/configuration.ts';
import { seconds, systemClock } from '../../functions/domain/clock.ts';
import type { AccessTokenStore, GrantEntry } from '../../functions/domain/ports.ts';
import { type SelectorOptions, selectorOf } from './selector.ts';
import { chooseAccessTokenStore, withAccessTokenStore } from './stores.ts';

export interface ListOptions extends SelectorOptions {
  readonly store?: string;
  readonly limit: number;
  readonly after?: string;
  readonly json?: true;
}

/** The most access tokens that are shown of one grant. */
const MOST_ACCESS_TOKENS = 100;

/** Prints grants with their tokens, page by page: a table, or JSON. Of a token its digest is shown; nothing else is known. */
export async function list(configuration: Configuration, options: ListOptions): Promise<void> {
  const selector = selectorOf(options);
  if (!selector) throw new Error('say whose grants: --subject, --client, --application or --consent');
  const { limit, after, json } = options;
  const chosen = chooseAccessTokenStore(configuration, options.store);
  const { listed, next } = await withAccessTokenStore(configuration, chosen, async (store) => {
    const page = await store.listGrants(selector, { limit, ...(after !== undefined && { after }) });
    const listed: Listed[] = [];
    for (const entry of page.grants) listed.push(await listedOf(store, entry, seconds(systemClock)));
    return { listed, next: page.next };
  });
  if (json) console.log(JSON.stringify({ grants: listed, ...(next !== undefined && { next }) }, null, 2));
  else {
    console.log(listed.length === 0 ? 'no grants' : table(listed.flatMap(rowsOf)));
    if (next !== undefined) console.log(`more: --after ${next}`);
  }
}

type State = 'active' | 'expired' | 'revoked';

interface ListedToken {
  readonly digest: string;
  readonly issued_at?: number;
  readonly expires_at: number;
  readonly state: State;
}

type Listed = Awaited<ReturnType<typeof listedOf>>;

async function listedOf(store: AccessTokenStore, { grant, refresh, revokedAt }: GrantEntry, now: number) {
  const { grantId, clientId, subject, applicationId, consentId, createdAt, expiresAt: end } = grant;
  const { tokens, next } = await store.listAccess(grantId, { limit: MOST_ACCESS_TOKENS });
  const stateAt = (revoked: boolean, ...ends: (number | undefined)[]): State => {
    if (revoked || revokedAt !== undefined) return 'revoked';
    return ends.some((at) => at !== undefined && at <= now) ? 'expired' : 'active';
  };
  const refreshToken: ListedToken | undefined = refresh && {
    digest: base64url(refresh.digest),
    expires_at: earliest(refresh.expiresAt, refresh.idleExpiresAt, end),
    state: stateAt(false, refresh.expiresAt, refresh.idleExpiresAt, end),
  };
  const accessTokens = tokens.map(
    ({ digest, issuedAt, expiresAt, revokedAt }): ListedToken => ({
      digest: base64url(digest),
      issued_at: issuedAt,
      expires_at: earliest(expiresAt, end),
      state: stateAt(revokedAt !== undefined, expiresAt, end),
    }),
  );
  return {
    grant_id: base64url(grantId),
    client_id: clientId,
    subject,
    application_id: applicationId,
    consent_id: consentId,
    created_at: createdAt,
    expires_at: end,
    state: stateAt(false, end),
    refresh_token: refreshToken,
    access_tokens: accessTokens,
    ...(next !== undefined && { more_access_tokens: true }),
  };
}

const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

const earliest = (...ends: (number | undefined)[]) => Math.min(...ends.filter((at) => at !== undefined));

type Row = readonly string[];

const HEAD: Row = ['WHAT', 'ID', 'CLIENT', 'SUBJECT', 'SINCE', 'UNTIL', 'STATE'];

function rowsOf(grant: Listed): Row[] {
  const { client_id, subject = '', created_at, expires_at, refresh_token, access_tokens } = grant;
  const tokenRow = (what: string, { digest, issued_at, expires_at, state }: ListedToken): Row => {
    return [`  ${what}`, digest, '', '', moment(issued_at), moment(expires_at), state];
  };
  return [
    ['grant', grant.grant_id, client_id, subject, moment(created_at), moment(expires_at), grant.state],
    ...(refresh_token ? [tokenRow('refresh token', refresh_token)] : []),
    ...access_tokens.map((token) => tokenRow('access token', token)),
    ...(grant.more_access_tokens ? [['  … more access tokens']] : []),
  ];
}

/** In UTC, to the second. */
const moment = (at: number | undefined) =>
  at === undefined ? '' : `${new Date(at * 1000).toISOString().slice(0, 19)}Z`;

/** A name must not move the cursor of a terminal. */
const printable = (text: string) => text.replace(/\p{C}/gu, '�');

function table(rows: readonly Row[]): string {
  const all = [HEAD, ...rows.map((row) => row.map(printable))];
  const widths = HEAD.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
