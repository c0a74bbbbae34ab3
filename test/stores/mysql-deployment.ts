import { describe, expect, it } from 'vitest';
import { createApplySchema } from '../../functions/handlers/apply-schema.ts';
import { packagedScripts } from '../../functions/stores/sql-schema.ts';
import { newDatabase, query } from './mysql-server.ts';

/** What a deployment does with the schema of MySQL or MariaDB, on a real server. */
export function describeDeployment(engine: 'mysql' | 'mariadb', url: string): void {
  describe(`${engine}: apply-schema, as CloudFormation calls it`, () => {
    const everything = 'oauth-server.sql, oauth-client.sql, oauth-roles.sql';
    const password = 'Mellon-2026';
    const call = async (
      type: 'Create' | 'Update' | 'Delete',
      properties: { readonly database: string; readonly application?: 'automatic' | 'manual'; readonly user?: string },
    ) => {
      const { hostname, port } = new URL(url);
      const scripts = await packagedScripts(engine);
      const { Data } = await createApplySchema(
        async () => scripts,
        async () => password,
      )(
        {
          RequestType: type,
          ResourceProperties: {
            ...{ engine, host: hostname, port, user: 'deployer', secretArn: 'arn', application: 'automatic' },
            ...properties,
          },
        },
        { getRemainingTimeInMillis: () => 60_000 },
      );
      return Data.scripts;
    };
    const newDeployment = async () => {
      const settings = await newDatabase(url);
      await query(
        settings,
        `CREATE USER IF NOT EXISTS deployer IDENTIFIED BY '${password}'`,
        'GRANT ALL ON *.* TO deployer WITH GRANT OPTION',
      );
      return String(settings.database);
    };

    it('makes tables, procedures and users once, and deletes nothing', async () => {
      const database = await newDeployment();
      expect(await call('Create', { database })).toBe(everything);
      expect(await call('Update', { database })).toBe('');
      expect(await call('Delete', { database })).toBe('');
      expect(await call('Update', { database, application: 'manual' })).toBe('');
    });

    it('left to somebody else, changes nothing, and says by name what is to be run', async () => {
      const database = await newDeployment();
      expect(await call('Create', { database, application: 'manual' })).toBe(everything);
      await expect(call('Update', { database, application: 'manual' })).rejects.toThrow(
        `the schema of "${database}" is too old for this version: run sql/${engine}/oauth-server.sql, then sql/${engine}/oauth-client.sql, then sql/${engine}/oauth-roles.sql`,
      );
    });

    it('fails where the login is refused, and says so without the password', async () => {
      const database = await newDeployment();
      const refusal = await call('Create', { database, user: 'nobody' }).catch(({ message }: Error) => message);
      expect(refusal).toMatch(/^M\w+ refused .*Access denied for user 'nobody'/);
      expect(refusal).not.toContain(password);
    });
  });
}
