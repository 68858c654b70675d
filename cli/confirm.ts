import { createInterface } from 'node:readline/promises';
import { Failure, UsageError } from './failure.ts';

/**
 * Asks a person to type a confirmation before an irreversible action.
 *
 * @param consequence a sentence that says what the action will do
 * @throws UsageError if there is no terminal, or Failure if the person types something else
 */
export async function confirm(
  consequence: string,
  text: string,
  isConfirmed: boolean | undefined,
): Promise<void> {
  if (isConfirmed) return;
  if (!process.stdin.isTTY) throw new UsageError(`${consequence} Use --yes to confirm.`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const typed = await terminal.question(`${consequence}\nType ${text} to confirm: `);
  terminal.close();
  if (typed.trim() !== text) throw new Failure('Nothing was changed.');
}
