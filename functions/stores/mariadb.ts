import type { Clock } from '../domain/clock.ts';
import type { Engine } from '../domain/ports.ts';
import { statements } from './mariadb-statements.ts';
import { createMysqlEngine } from './mysql.ts';
import { mariadbProduct } from './mysql-connection.ts';
import type { DatabaseSettings } from './sql-settings.ts';

// MariaDB 10.6 or newer, InnoDB, by MySQL's driver and protocol: what is said there holds here.

/** The four stores on a MariaDB server. */
export const createEngine = (settings: DatabaseSettings, clock: Clock): Engine =>
  createMysqlEngine(mariadbProduct, statements, settings, clock);
