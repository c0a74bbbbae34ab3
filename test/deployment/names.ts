// What DNS would be for the local AWS: the test loads it, and every function before its own code.
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';

const { lookup } = dns;

const addressOf = (name: string): string => {
  const isServer = /^cluster\.local-aws\.test$|\.(rds|cache)\.amazonaws\.com$/.test(name);
  if (isServer) return process.env.SERVER_HOST ?? name;
  return /(^|\.)local-aws\.test$/.test(name) ? '127.0.0.1' : name;
};

// net asks for one address or for all of them, as its options say.
const leadToThisMachine = (name: string, ...rest: unknown[]) => Reflect.apply(lookup, dns, [addressOf(name), ...rest]);

Object.assign(dns, { lookup: leadToThisMachine });
syncBuiltinESMExports();
