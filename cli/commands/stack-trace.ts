import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, relative, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { bundleFunctions, functionNames, sourceMapOf } from '../../infra/bundle.ts';
import { addCommand } from '../command.ts';
import { UsageError } from '../failure.ts';

/**
 * Adds `stack-trace`, which translates the positions in a stack trace, so that they refer to the source files instead
 * of the bundled code.
 */
export function addStackTrace(parent: Command): void {
  const command = addCommand(parent, 'stack-trace', {
    summary: 'Translate a stack trace of a deployed function into lines of the source code',
    description:
      'Translates a stack trace of a deployed function into lines of the source code. First check out the deployed commit, ' +
      'because positions differ between builds.',
    examples: [
      '$ deployment-api-keys dev stack-trace authorize <trace.txt',
      'dev stack-trace authorize --at 1:20874',
    ],
  });
  command
    .argument('<function>', `The function's file name in functions/: ${functionNames().join(', ')}`)
    .option(
      '--at <position>',
      'One position in the bundle (line:column) instead of a stack trace on standard input.',
    )
    .action(async (name: string, { at }: { at?: string }) => {
      if (!functionNames().includes(name)) {
        throw new UsageError(`There is no function "${name}". Functions: ${functionNames().join(', ')}`);
      }
      bundleFunctions();
      const trace = at === undefined ? await text(process.stdin) : `index.js:${at}\n`;
      process.stdout.write(translated(trace, sourceMapOf(name)));
    });
}

/** Translates every position in a stack trace. @param path path of the bundle's source map */
function translated(trace: string, path: string): string {
  const map = new SourceMap(JSON.parse(readFileSync(path, 'utf8')));
  return trace.replaceAll(
    /[^\s("]*index\.js:(?<line>\d+):(?<column>\d+)/g,
    (position: string, ...rest: unknown[]) => {
      const { line, column } = rest.at(-1) as { line: string; column: string };
      const origin = map.findOrigin(Number(line), Number(column));
      if (!('fileName' in origin)) return position;
      const file = relative(process.cwd(), resolve(dirname(path), origin.fileName));
      return `${file}:${origin.lineNumber}:${origin.columnNumber}`;
    },
  );
}
