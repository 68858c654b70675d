import { describe, expect, it } from 'vitest';
import { findings } from '../../.ci/prose.ts';

describe('The prose check finds words and titles that the style guide replaces', () => {
  it.each([
    ['a comment', 'a.ts', '// Mends the item.', 'a.ts:1: write fix or repair, not "Mends"'],
    [
      'a docstring',
      'a.ts',
      '\n/**\n * Tells the caller.\n */',
      'a.ts:3: write notify, configure, report or show, not "Tells"',
    ],
    [
      'a test title',
      'a.test.ts',
      "it('refuses a dead token', f)",
      'a.test.ts:1: write reject, or deny if the authorizer does it, not "refuses"',
    ],
    ['Markdown', 'a.md', '# Keys\n\nThe token is over.', 'a.md:3: write expired, not "is over."'],
  ])('the prose check finds a word that the glossary replaces in %s', (_, path, content, finding) => {
    expect(findings(path, content)).toContain(finding);
  });

  it.each(['it', 'it.each(rows)', 'describe', 'test'])(
    'the prose check finds a title of %s that begins in the middle of a sentence',
    (name) => {
      expect(findings('a.test.ts', `${name}('#12: of another Deployment', f)`)).toEqual([
        'a.test.ts:1: begin the title with its subject or verb, not "#12: of another Deployment"',
      ]);
    },
  );

  it.each([
    ['code', 'a.ts', "const refused = 'told';"],
    ['code in backticks', 'a.md', 'Emits `call.refused`.'],
    ['code in a fence', 'a.md', '```\nrefused\n```'],
    ['the address of a link', 'a.md', '[Why](a-refusal.md)'],
    ['a word that is also used well', 'a.md', 'A dead-letter queue; there is none.'],
    ['a title that is a sentence', 'a.test.ts', "it('rejects a token of another Deployment', f)"],
  ])('the prose check ignores %s', (_, path, content) => {
    expect(findings(path, content)).toEqual([]);
  });
});
