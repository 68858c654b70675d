/**
 * Finds words that the project's glossary replaces, and test titles that begin in the middle of a sentence. It reads
 * comments, test titles and Markdown, but not code in backticks or fences, and not the CHANGELOG, which quotes older
 * versions. Missing a word is better than a false alarm, so the rules do not cover words that also have a correct use,
 * such as "make".
 *
 * `npm run check` runs it. It prints each finding as `file:line: …` and exits with 1 if there are any.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The glossary: each word to avoid, and what to write instead. */
const GLOSSARY: readonly [avoid: RegExp, write: string][] = [
  [/\bswap(s|ped|ping)?\b/gi, 'exchange'],
  [/\b(slides?|slid)\b(?!-? interval)/gi, 'extend'],
  [/\bmend(s|ed|ing)?\b/gi, 'fix or repair'],
  [/\b(is|are|was) over[.,;:)]/gi, 'expired'],
  [/\bliving\b|(?<!keep-?)\balive\b/gi, 'active or valid'],
  [/\bdead\b(?![- ](letter|code|link))/gi, 'revoked, expired or invalid'],
  [/\brefus(e|es|ed|als?|ing)\b/gi, 'reject, or deny if the authorizer does it'],
  [/\bimitat(e|es|ed|ing|ions?)\b/gi, 'emulate'],
  [/\bpatience\b/gi, 'retry policy'],
  [/\bfrom before\b/gi, 'previous or older'],
  [/\b(give|gives|gave|given|giving) up\b|\bset aside\b/gi, 'discard, or send to the dead-letter queue'],
  [/(?<!there )\bis none\b/gi, 'not any'],
  [/\b(tells|told)\b/gi, 'notify, configure, report or show'],
  [/\bwrong shape\b/gi, 'malformed'],
  [/\bwire\b/gi, 'HTTP client, or call to DynamoDB'],
  [/\b(another|other|same|earlier) li(fe|ves)\b/gi, 'generation'],
  [/\bmint(s|ed|ing)?\b/gi, 'create'],
];

/**
 * Words at the beginning of a test title that show that the title is not a full sentence. The number of a row in
 * docs/faults.md can come before them.
 */
const MIDDLE_OF_SENTENCE = /^(#\d+: )?(of|that|and|by|after)\b/i;

const COMMENT = /(?<=^|\s)\/\*\*?\s[\s\S]*?\*\/|(?<=^|\s)\/\/ [^\n]*/g;
const TITLE =
  /\b(?:it|test|describe)(?:\.\w+(?:\([^)]*\))?)*\(\s*(?<quote>['"`])(?<title>(?:\\.|(?!\k<quote>)[^\\\n])+)\k<quote>/g;
/** Code in Markdown and comments, headings that are the name of an event, and the addresses of links. */
const CODE = /```[\s\S]*?```|`[^`\n]*`|^#+ \w+\.\w+$|\]\([^)\s]*\)/gm;

/** A piece of prose and where it begins in its file. */
interface Prose {
  readonly text: string;
  readonly start: number;
}

/**
 * Checks one file.
 *
 * @param path path of the file; its extension decides which parts are prose
 * @param content the file's text
 * @returns the findings, each as `path:line: what to write, not "what stands there"`
 */
export function findings(path: string, content: string): string[] {
  const at = (offset: number) => `${path}:${content.slice(0, offset).split('\n').length}`;
  const titles = path.endsWith('.test.ts') ? titlesIn(content) : [];
  const prose = path.endsWith('.md') ? [{ text: content, start: 0 }] : [...commentsIn(content), ...titles];
  return [
    ...prose.flatMap((piece) => avoidedWords(piece).map(({ start, message }) => `${at(start)}: ${message}`)),
    ...titles
      .filter(({ text }) => MIDDLE_OF_SENTENCE.test(text))
      .map(({ text, start }) => `${at(start)}: begin the title with its subject or verb, not "${text}"`),
  ];
}

function avoidedWords({ text, start }: Prose): { start: number; message: string }[] {
  const words = text.replace(CODE, (code) => code.replace(/[^\n]/g, ' '));
  return GLOSSARY.flatMap(([avoid, write]) =>
    Array.from(words.matchAll(avoid), (match) => ({
      start: start + match.index,
      message: `write ${write}, not "${match[0]}"`,
    })),
  );
}

const commentsIn = (content: string): Prose[] =>
  Array.from(content.matchAll(COMMENT), (match) => ({ text: match[0], start: match.index }));

const titlesIn = (content: string): Prose[] =>
  Array.from(content.matchAll(TITLE), (match) => ({ text: match.groups?.title ?? '', start: match.index }));

if (import.meta.main) {
  const tracked = execFileSync('git', ['ls-files', '-z'], { encoding: 'utf8' }).split('\0');
  const read = tracked.filter(
    (path) => /\.(md|tsx?|mjs|cjs)$/.test(path) && !/CHANGELOG|\/dist\/|prose\.test/.test(path),
  );
  const found = read.flatMap((path) => findings(path, readFileSync(path, 'utf8')));
  for (const finding of found) console.error(finding);
  if (found.length > 0) process.exitCode = 1;
}
