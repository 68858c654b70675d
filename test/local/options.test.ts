import { expect, it } from 'vitest';
import { readOptions, suggestion, UsageError } from '../../local/options.ts';

const OPTIONS = {
  context: { type: 'string', short: 'c', multiple: true, default: [] as string[] },
  data: { type: 'string' },
  fresh: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;
const HINT = 'Run npm start -- --help to list the options.';

/**
 * Reads command-line arguments.
 * @param environment environment variables that npm sets
 */
function read(args: readonly string[], environment: Record<string, string> = {}) {
  const before = { argv: process.argv, env: process.env };
  process.argv = ['node', 'main.ts', ...args];
  process.env = { ...before.env, ...environment };
  try {
    return readOptions('npm start', OPTIONS);
  } finally {
    Object.assign(process, before);
  }
}

it('npm start accepts long, short and repeated command-line options', () => {
  expect(read(['-c', 'a=1', '--context', 'b=2', '--fresh'])).toEqual({
    context: ['a=1', 'b=2'],
    fresh: true,
    json: false,
  });
});

it.each([
  [['--frsh'], 'Unknown option --frsh. Did you mean --fresh?'],
  [['--Fresh'], 'Unknown option --Fresh. Did you mean --fresh?'],
  [['--freshly=1'], 'Unknown option --freshly. Did you mean --fresh?'],
  [['-f'], 'Unknown option -f. Did you mean --fresh?'],
  [['--jsno'], 'Unknown option --jsno. Did you mean --json?'],
  [['--contxt', 'a=1'], 'Unknown option --contxt. Did you mean --context?'],
  [['fresh'], 'Unexpected argument fresh. Did you mean --fresh?'],
  [['--verbose'], 'Unknown option --verbose.'],
  [['--constructor'], 'Unknown option --constructor.'],
  [['--\u001b[31m'], 'Unknown option --\\u001b[31m.'],
  [['--fresh=yes'], "Option '--fresh' does not take an argument"],
  [['--data'], "Option '--data <value>' argument missing"],
] as const)('npm start rejects the arguments %j with the error: %s', (args, expected) => {
  expect(() => read(args)).toThrow(new UsageError(`${expected}\n${HINT}`));
});

it('npm start rejects an option that npm consumed because -- is missing, and explains how to pass it', () => {
  expect(() => read([], { npm_config_fresh: 'true' })).toThrow(
    new UsageError('npm read --fresh as an option of its own. Run npm start -- --fresh'),
  );
  // A user may have set this option in the npm configuration.
  expect(read([], { npm_config_json: 'true' })).toMatchObject({ json: false });
});

it('the error for an unknown name suggests the most similar name, or nothing if no name is similar', () => {
  expect(suggestion('amdin', ['admin', 'member'])).toBe(' Did you mean admin?');
  expect(suggestion('eve', ['admin', 'member'])).toBe('');
  expect(suggestion('', ['admin', 'member'])).toBe('');
  expect(suggestion('a'.repeat(100_000), ['admin', 'member'])).toBe('');
});
