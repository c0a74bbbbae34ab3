import { auth } from 'cassandra-driver';

/** Bytes for the server, or an answer to its challenge; asked anew for every connection. */
export interface Credentials {
  initial(): Promise<Buffer>;
  answer(challenge: Buffer): Promise<Buffer>;
}

type Callback = (error: unknown, token?: Buffer) => void;

/** What the driver asks whenever it opens a connection; a failure fails that connection, and with it what waits for it. */
export function authProvider(credentials: Credentials): auth.AuthProvider {
  const settle = (token: Promise<Buffer>, callback: Callback) => {
    token.then((bytes) => callback(null, bytes), callback);
  };
  const newAuthenticator = () => ({
    initialResponse: (callback: Callback) => settle(credentials.initial(), callback),
    evaluateChallenge: (challenge: Buffer, callback: Callback) => settle(credentials.answer(challenge), callback),
    onAuthenticationSuccess() {},
  });
  // The driver takes instances of its own class alone, which it exports as a type only.
  return Object.assign(new auth.PlainTextAuthProvider('', ''), { newAuthenticator });
}

/** SASL PLAIN (RFC 4616), with a password that may be another for each connection. */
export const passwordCredentials = (user: string, password: string | (() => Promise<string>)): Credentials => ({
  initial: async () => Buffer.from(`\0${user}\0${typeof password === 'string' ? password : await password()}`),
  answer: async () => Buffer.alloc(0),
});
