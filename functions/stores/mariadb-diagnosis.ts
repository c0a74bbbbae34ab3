import { mariadbProduct } from './mysql-connection.ts';
import { diagnoseProduct } from './mysql-diagnosis.ts';
import type { Component, Diagnosis } from './sql-diagnosis.ts';
import type { DatabaseSettings } from './sql-settings.ts';

/** Connects once and looks whether everything is there that the stores need of these components. Nothing is changed. */
export const diagnose = (settings: DatabaseSettings, components: readonly Component[]): Promise<Diagnosis> =>
  diagnoseProduct(mariadbProduct, settings, components);
