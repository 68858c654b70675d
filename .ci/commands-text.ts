import { readFileSync } from 'node:fs';
import type { Command, Option } from 'commander';
import { commandExamples } from '../cli/command.ts';
import { createProgram } from '../cli/program.ts';

/** The page that documents the CLI. */
export const PAGE = new URL('../docs/cli.md', import.meta.url);
const HEADING = '## Reference\n';

/** Returns the CLI page with the reference for all commands below its last heading. */
export function describedCommands(): string {
  const text = readFileSync(PAGE, 'utf8');
  const own = text.slice(0, text.indexOf(HEADING) + HEADING.length);
  return `${own}\n\`npm run generate\` writes this section.\n${sections(createProgram()).join('')}`;
}

/**
 * Returns the sections for all commands below the given command, in the order of the help. Commands that only group
 * other commands get no section.
 */
function sections(above: Command): string[] {
  return above.commands.flatMap((command) =>
    command.commands.length > 0 ? sections(command) : command.name() === 'help' ? [] : [section(command)],
  );
}

function section(command: Command): string {
  const path = pathOf(command);
  const usage = `${path} ${command.usage()}`;
  const rows = [
    ...command.registeredArguments.map(
      (argument) => `| \`${argument.name()}\` | ${argument.description} |\n`,
    ),
    ...command.options.map((option) => `| \`${option.flags}\` | ${escaped(describe(option))} |\n`),
  ];
  const table = rows.length > 0 ? `\n| argument or option | |\n|---|---|\n${rows.join('')}` : '';
  const title = path.replace(/^\S+ /, '');
  return `
### ${title}

${escaped(command.description())}

\`\`\`console
$ ${usage}
\`\`\`
${table}
\`\`\`sh
${commandExamples(command).join('\n')}
\`\`\`
`;
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

function describe({ description, envVar, defaultValue }: Option): string {
  const ofVariable = envVar ? ` Environment: \`${envVar}\`.` : '';
  const isShown = typeof defaultValue === 'string' || typeof defaultValue === 'number';
  return `${description}${isShown ? ` Default: \`${defaultValue}\`.` : ''}${ofVariable}`;
}

const escaped = (text: string) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
