import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { filesOfAction } from '../../integrations/github-action/build.ts';

const textOf = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const metadata = parse(textOf('integrations/github-action/action.yml'));

describe('The committed GitHub Action matches its source', () => {
  it.each([...filesOfAction()])(
    'the committed GitHub Action has the same %s that `npm run generate` writes',
    (path, text) => {
      expect(textOf(path), 'Run `npm run generate` and commit what it writes.').toBe(text);
    },
  );

  it('the committed GitHub Action is at most 80 KiB and not minified', () => {
    const bundle = textOf('integrations/github-action/dist/index.cjs');
    expect(bundle.length).toBeLessThan(80 * 1024);
    expect(Math.max(...bundle.split('\n').map((line) => line.length))).toBeLessThan(400);
  });

  it('the GitHub Action runs on Node 24, in its main step and in its post step, which always runs', () => {
    expect(metadata.runs).toEqual({
      using: 'node24',
      main: 'dist/index.cjs',
      post: 'dist/index.cjs',
      'post-if': 'always()',
    });
  });

  it('the GitHub Action has a name, an icon, and a description of each input and output', () => {
    expect(metadata).toMatchObject({
      name: expect.stringMatching(/\w/),
      branding: { icon: 'key', color: 'blue' },
    });
    for (const one of [metadata, ...Object.values(metadata.inputs), ...Object.values(metadata.outputs)]) {
      expect(one).toMatchObject({ description: expect.stringMatching(/^[A-Z].*\.$/) });
    }
    expect(Object.keys(metadata.inputs)).toEqual([
      'url',
      'key-id',
      'key-secret',
      'scope',
      'audience',
      'revoke',
    ]);
    expect(Object.keys(metadata.outputs)).toEqual(['token', 'expires-at']);
  });
});
