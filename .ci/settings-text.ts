import { readFileSync } from 'node:fs';
import { describedSettings, SETTING_GROUPS } from '../infra/settings.ts';

/** The page with the table of settings. */
export const PAGE = new URL('../docs/settings.md', import.meta.url);
/** The properties of the construct. */
export const PROPS = new URL('../infra/deployment-keys-props.ts', import.meta.url);

type Setting = ReturnType<typeof describedSettings>[number];

/** Returns a page after replacing its section "All settings" with a table of the settings for each purpose. */
export function describedIn(page: URL): string {
  const tables = SETTING_GROUPS.map((group) => {
    const rows = describedSettings()
      .filter((setting) => setting.group === group)
      .map((setting) => `| \`${setting.name}\` | ${defaultOf(setting)} | ${textOf(setting)} |\n`);
    return `### ${group}\n\n| setting | default | what it does |\n|---|---|---|\n${rows.join('')}\n`;
  });
  return readFileSync(page, 'utf8').replace(
    /^(## All settings\n\n.*?\n\n)(?:### .*?)?(?=^## )/ms,
    (_, introduction) => introduction + tables.join(''),
  );
}

/** Returns the source of the interface `DeploymentKeysProps`, with a comment for each property. */
export function propsText(): string {
  const members = describedSettings().map((setting) => {
    const text = textOf(setting).replaceAll(/\[([^\]]+)\]\(([^)]+)\)/g, '$1 (docs/$2)');
    const comment = [...wrapped(`${text}.`), '', `@default ${defaultOf(setting)}`];
    const lines = comment.map((line) => `   * ${line}`.trimEnd());
    return `  /**\n${lines.join('\n')}\n   */\n  readonly ${setting.name}?: SettingInputs['${setting.name}'];\n`;
  });
  return `// \`npm run generate\` writes this file from infra/settings.ts.
import type { SettingInputs } from './settings.ts';

/** The settings of the service. CDK context has the same names, units and rules. */
export interface DeploymentKeysProps {
${members.join('')}}
`;
}

/** The description of a setting, and the CDK types that code can pass. It has no full stop at the end. */
const textOf = ({ description, inCode }: Setting) =>
  inCode === undefined ? description : `${description}. CDK code can also pass ${inCode}`;

/** The default of a setting as \`-c\` accepts it, or what applies without the setting. */
function defaultOf({ absent, standard }: Setting): string {
  if (absent !== undefined) return absent;
  return typeof standard === 'number' ? String(standard) : `\`${standard}\``;
}

/** Breaks text into lines of up to 112 characters. */
function wrapped(text: string): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`.trimStart();
    if (line.length <= 112) lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines;
}
