import type { Command } from 'commander';
import type { Selector } from '../../functions/domain/ports.ts';

/** Whose grants are meant, as options of the command line. */
export interface SelectorOptions {
  readonly subject?: string;
  readonly client?: string;
  readonly application?: string;
  readonly consent?: string;
}

export const withSelector = (command: Command): Command =>
  command
    .option('--subject <name>', 'the resource owner')
    .option('--client <id>', 'the client')
    .option('--application <id>', 'the application')
    .option('--consent <id>', 'the consent');

/** The grants that match all that is given; nothing when nothing is. */
export function selectorOf({ subject, client, application, consent }: SelectorOptions): Selector | undefined {
  const selector = {
    ...(subject !== undefined && { subject }),
    ...(client !== undefined && { clientId: client }),
    ...(application !== undefined && { applicationId: application }),
    ...(consent !== undefined && { consentId: consent }),
  };
  return Object.keys(selector).length > 0 ? selector : undefined;
}
