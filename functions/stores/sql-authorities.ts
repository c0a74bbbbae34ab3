/** The Region of a server of Amazon RDS or Aurora. A proxy of theirs is none: common authorities sign its certificate. */
const regionOf = (host = '') => /^(?!.*\.proxy-).+\.([a-z0-9-]+)\.rds\.amazonaws\.com$/.exec(host)?.[1];

/** The authorities of a server's Region, if Amazon RDS has it: 170 kB of certificates, which are loaded for such a server alone. */
export async function authoritiesOf(host: string | undefined): Promise<string | undefined> {
  const region = regionOf(host);
  return region === undefined ? undefined : (await import('./rds-authorities.ts')).rdsAuthorities(region);
}
