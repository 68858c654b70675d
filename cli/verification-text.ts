import { duration, paint, printable } from '../local/terminal.ts';
import type { SeenStep } from './verification.ts';

const output = process.stdout;

/** Prints a step: the behaviour that it verifies, the request and the response. */
export function printStep({ says, method, path, status, isExpected, milliseconds, body }: SeenStep): void {
  const mark = isExpected ? paint(output, 'green', '✓') : paint(output, 'red', '✗');
  console.log(`${mark} ${paint(output, 'bold', says)} ${paint(output, 'dim', duration(milliseconds))}`);
  console.log(`  ${method} ${path}`);
  console.log(paint(output, 'dim', `  ${status} ${body}`.trimEnd()));
}

/** Prints the results from a deployed stack as table rows for docs/verified.md. */
export function printRows(url: string, steps: readonly SeenStep[]): void {
  const date = new Date().toISOString().slice(0, 10);
  const where = `${printable(new URL(url).hostname)}, ${date}`;
  console.log(`\nFor docs/verified.md:\n\n| step | answer | seen at |\n|---|---|---|`);
  for (const { says, method, path, status, milliseconds, body } of steps) {
    const answer =
      body === 'deployment.purged'
        ? `event \`deployment.purged\` after ${duration(milliseconds)}`
        : `${method} \`${path}\` answers ${status}`;
    console.log(`| ${says} | ${answer} | ${where} |`);
  }
}
