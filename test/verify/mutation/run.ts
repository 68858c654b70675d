/**
 * Runs mutation tests (`npm run verify:mutation`), which make small changes to the sources. The tests must detect these
 * changes. A change that no test detects must behave like the original source, and must be listed in equivalent.ts with
 * the reason.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readOptions } from '../../support/options.ts';
import { EQUIVALENT } from './equivalent.ts';
import { PARTS } from './parts.ts';

const HELP = `Usage: npm run verify:mutation -- [options]

  --part <name>   ${Object.keys(PARTS).join(', ')}; can be given more than once. Default: all, one after the other
  --file <path>   mutate only this source, such as functions/domain/expiry.ts. It must belong to the one given --part
  --evaluate      mutate nothing, but evaluate the reports of the last runs
  --fresh         discard earlier results. By default, unchanged sources are not tested again
  --workers <n>   number of parallel test processes. Default: 1
  --help

Takes hours, or a few minutes if little has changed. Exits with 1 if a part scores 95 % or less, if a mutant survives that is
not listed in test/verify/mutation/equivalent.ts, or if a listed mutant does not survive.`;

/**
 * The mutation score of each part must be higher than this value, in per cent. Equivalent mutants count as survived.
 */
const LEAST = 95;
const root = fileURLToPath(new URL('../../..', import.meta.url));

interface Position {
  line: number;
  column: number;
}
interface Mutant {
  mutatorName: string;
  replacement?: string;
  status: string;
  location: { start: Position; end: Position };
}
interface Report {
  files: Record<string, { source: string; mutants: Mutant[] }>;
}

const values = readOptions(HELP, {
  part: { type: 'string', multiple: true, default: Object.keys(PARTS) },
  file: { type: 'string' },
  evaluate: { type: 'boolean', default: false },
  fresh: { type: 'boolean', default: false },
  workers: { type: 'string', default: '1' },
});
const unknown = values.part.find((name) => !PARTS[name]);
if (unknown !== undefined || (values.file !== undefined && values.part.length !== 1)) {
  console.error(unknown === undefined ? '--file needs one --part' : `--part ${unknown}: there is none`);
  process.exit(2);
}

const pathOf = (part: string, file: string) => `.build/mutation/${part}.${file}.json`;

/** Runs Stryker on a part of the sources. Its priority is the lowest, because it runs for hours. */
async function mutate(part: string): Promise<void> {
  const common = JSON.parse(readFileSync(new URL('stryker.config.json', import.meta.url), 'utf8'));
  const config = {
    ...common,
    mutate: values.file === undefined ? PARTS[part]?.mutate : [values.file],
    incrementalFile: pathOf(part, 'incremental'),
    force: values.fresh,
    jsonReporter: { fileName: pathOf(part, 'report') },
    tempDirName: `.build/stryker-${part}`,
    concurrency: Number(values.workers),
  };
  mkdirSync(`${root}/.build/mutation`, { recursive: true });
  forgetSurvivors(pathOf(part, 'incremental'));
  writeFileSync(`${root}/${pathOf(part, 'config')}`, JSON.stringify(config, null, 2));
  const stryker = 'test/verify/mutation/node_modules/@stryker-mutator/core/bin/stryker.js';
  const args = ['-n', '19', process.execPath, stryker, 'run', pathOf(part, 'config')];
  const child = spawn('nice', args, { cwd: root, stdio: 'inherit', env: { ...process.env, MUTATED: part } });
  const code = await new Promise((resolve) => child.on('exit', resolve));
  if (code !== 0) throw new Error(`Stryker ended with ${code} on ${part}`);
}

/**
 * Removes the survivors from Stryker's cache so that they are tried again. Stryker does not notice when a new test
 * would detect a changed constant.
 */
function forgetSurvivors(path: string): void {
  if (!existsSync(`${root}/${path}`)) return;
  const report = JSON.parse(readFileSync(`${root}/${path}`, 'utf8')) as Report;
  for (const file of Object.values(report.files)) {
    file.mutants = file.mutants.filter(({ status }) => status === 'Killed' || status === 'Timeout');
  }
  writeFileSync(`${root}/${path}`, JSON.stringify(report));
}

/**
 * Describes a mutant without its position, so that the description stays valid if the line moves. Example:
 * `StringLiteral: 'utf8' → ""`.
 */
function described(source: string, { mutatorName, location, replacement = '' }: Mutant): string {
  const { start, end } = location;
  const lines = source.split('\n').slice(start.line - 1, end.line);
  const last = lines.length - 1;
  lines[last] = (lines[last] ?? '').slice(0, end.column - 1);
  lines[0] = (lines[0] ?? '').slice(start.column - 1);
  const [from = '', to = ''] = [lines.join(' '), replacement].map((text) => text.replace(/\s+/g, ' ').trim());
  return `${mutatorName}: ${shortened(from)} → ${shortened(to)}`;
}

const shortened = (text: string) => (text.length > 100 ? `${text.slice(0, 99)}…` : text);

/** A mutant as the list of equivalent mutants identifies it. */
interface Identity {
  file: string;
  /** The text of the line. */
  line: string;
  what: string;
}

/** Returns the results of all mutants in a file, with their places for messages. */
function resultsOf(file: string, { source, mutants }: Report['files'][string]) {
  const lines = source.split('\n');
  return mutants.map((mutant) => {
    const { line } = mutant.location.start;
    return {
      file,
      line: (lines[line - 1] ?? '').trim(),
      what: described(source, mutant),
      status: mutant.status,
      place: `${file}:${line}`,
    };
  });
}

/** Returns the mutants that are not among the others. */
function without<T extends Identity>(mutants: T[], others: Identity[]): T[] {
  const keyOf = ({ file, line, what }: Identity) => JSON.stringify([file, line, what]);
  const known = new Set(others.map(keyOf));
  return mutants.filter((one) => !known.has(keyOf(one)));
}

/**
 * Checks the results of a part against the minimum score and the list of equivalent mutants.
 * @returns true if there are no problems
 */
function evaluate(part: string): boolean {
  const { files } = JSON.parse(readFileSync(`${root}/${pathOf(part, 'report')}`, 'utf8')) as Report;
  const results = Object.entries(files).flatMap(([file, report]) => resultsOf(file, report));
  for (const { status, place, what } of results) {
    if (status === 'Timeout') console.log(`  endless, or slow: ${place} ${what}`);
  }
  const survivors = results.filter(({ status }) => status === 'Survived' || status === 'NoCoverage');
  const listed = EQUIVALENT.filter(({ file }) => files[file]).flatMap(({ mutants, ...place }) =>
    mutants.map((what) => ({ ...place, what })),
  );
  const complaints = [
    ...without(survivors, listed).map(({ place, what }) => `survives, and is not listed: ${place} ${what}`),
    ...without(listed, survivors).map(
      ({ file, line, what }) => `is listed, and does not survive: ${file} ${what} in ${line}`,
    ),
  ];
  const of = (...statuses: string[]) => results.filter(({ status }) => statuses.includes(status)).length;
  const [killed, lived] = [of('Killed', 'Timeout'), of('Survived', 'NoCoverage')];
  const score = (100 * killed) / (killed + lived);
  if (!(score > LEAST)) complaints.push(`a score of ${score.toFixed(1)} %`);
  console.log(
    `${part}: ${score.toFixed(1)} % of ${killed + lived} mutants killed, ${of('Timeout')} of them by time;`,
    `${lived} survived, ${of('RuntimeError', 'CompileError')} did not run.`,
  );
  for (const complaint of complaints) console.error(`  ${complaint}`);
  return complaints.length === 0;
}

let isWell = true;
for (const part of values.part) {
  if (!values.evaluate) await mutate(part);
  isWell = evaluate(part) && isWell;
}
process.exitCode = isWell ? 0 : 1;
