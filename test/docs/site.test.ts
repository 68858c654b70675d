import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const config = readFileSync(`${root}site/.vitepress/config.mjs`, 'utf8');

it('the sidebar of the documentation site contains every page of the documentation', () => {
  const pages = readdirSync(`${root}docs`).filter((name) => name.endsWith('.md'));
  const missing = pages.filter((name) => !config.includes(`'/${name.slice(0, -'.md'.length)}')`));
  expect(missing).toEqual([]);
});

it('the documentation site takes the address of the repository from package.json', async () => {
  const { addressOf } = await import(`${root}site/.vitepress/links.mjs`);
  const { repository } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
  const [, address] = /^git\+(https:.*)\.git$/.exec(repository.url) ?? [];
  expect(addressOf('../cli/cost.ts', 'docs/cost.md')).toBe(`${address}/blob/main/cli/cost.ts`);
  expect(config).not.toContain('github.com');
});
