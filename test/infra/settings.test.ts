import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SETTINGS } from '../../infra/config.ts';
import { EVERYTHING } from '../support/template.ts';

const page = readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8');
const properties = readFileSync(new URL('../../infra/deployment-keys.ts', import.meta.url), 'utf8');

describe('the settings', () => {
  it.each([...SETTINGS])(
    'the settings include %s, which is in docs/settings.md, is a property with a default, and is set in a test',
    (name) => {
      expect(page).toMatch(new RegExp(`^\\| .*\`${name}\``, 'm'));
      expect(properties).toMatch(
        new RegExp(`(@default.*\\n|@default[^/]*\\n *\\*/\\n) *readonly ${name}\\?:`),
      );
      expect(EVERYTHING).toHaveProperty(name);
    },
  );
});
