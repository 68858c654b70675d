/** Translates the positions in a stack trace from CloudWatch from bundled code to source files. */
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, relative, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { bundleFunctions, functionNames, sourceMapOf } from '../infra/bundle.ts';

const HELP = `Translates a stack trace of a deployed function into lines of the source code.

  npm run -s stack-trace -- <function> <trace.txt
  npm run -s stack-trace -- authorize --at 1:20874

  <function>   the function's file name in functions/: ${functionNames().join(', ')}
  --at         one position in the bundle (line:column) instead of a stack trace on standard input

First check out the deployed commit, because positions differ between builds.`;

const { values, positionals } = parseArgs({
  options: { at: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  allowPositionals: true,
});
const [name = ''] = positionals;
if (values.help) {
  console.log(HELP);
} else if (positionals.length !== 1 || !functionNames().includes(name)) {
  const isOne = positionals.length === 1;
  console.error(`${isOne ? `There is no function "${name}".` : 'Give exactly one function.'}\n\n${HELP}`);
  process.exitCode = 2;
} else {
  bundleFunctions();
  const trace = values.at === undefined ? await text(process.stdin) : `index.js:${values.at}\n`;
  process.stdout.write(translated(trace, sourceMapOf(name)));
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
