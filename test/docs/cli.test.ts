import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { describedCommands, PAGE } from '../../.ci/commands-text.ts';
import { commandExamples } from '../../cli/command.ts';
import { EXIT } from '../../cli/failure.ts';
import { createProgram } from '../../cli/program.ts';

const textOf = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const page = readFileSync(PAGE, 'utf8');

/** Returns a CLI command and all its subcommands. */
const tree = (command: Command): Command[] => [command, ...command.commands.flatMap(tree)];

describe('docs/cli.md documents the whole CLI', () => {
  it('docs/cli.md contains the current reference: run `npm run generate` after a change', () => {
    expect(page).toBe(describedCommands());
  });

  it('docs/cli.md documents every exit code', () => {
    const rows = [...page.matchAll(/^\| (\d) \| /gm)].map(([, code]) => Number(code));
    expect(rows).toEqual([0, ...Object.values(EXIT)]);
  });

  it('docs/cli.md lists every environment variable that an option reads', () => {
    const variables = tree(createProgram()).flatMap(({ options }) =>
      options.flatMap(({ envVar }) => envVar ?? []),
    );
    expect(variables).toContain('DEPLOYMENT_KEY_ID');
    for (const name of variables) expect(page).toContain(`| \`${name}\` | `);
  });
});

describe('Every command has a complete help text', () => {
  it.each(tree(createProgram()).map((command) => [command.name(), command] as const))(
    'the command %s has a description, described options and an example',
    (_, command) => {
      expect(command.description()).not.toBe('');
      for (const { description, flags } of command.options) expect(description, flags).toMatch(/\.$/);
      expect(commandExamples(command)).not.toEqual([]);
      expect(command.helpInformation()).toContain('-h, --help');
    },
  );
});

it('functions/openapi/api-types.ts matches docs/openapi.json: run `npm run generate` after a change', () => {
  const hash = createHash('sha256').update(textOf('docs/openapi.json')).digest('hex');
  expect(textOf('functions/openapi/api-types.ts').split('\n')[0]).toContain(hash);
});
