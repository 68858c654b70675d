import { ERROR_CODES } from '../functions/domain/error-codes.ts';

/** Returns the content of docs/errors.md, which has a section for each code. */
export function errorsText(): string {
  const sections = Object.entries(ERROR_CODES).map(
    ([code, { meaning, causes, remedy }]) =>
      `## ${code}\n\n${meaning}\n\n**Why it happens:** ${causes}\n\n**What to do:** ${remedy}\n`,
  );
  return `# Errors

<!-- \`npm run generate\` writes this page from functions/domain/error-codes.ts. -->

With this page, you can look up what an error means, why it happens and what to do.

Management calls return problem details (RFC 9457), in which \`code\` names the error. Calls to \`/oauth/*\` return the code in
\`error\` (RFC 6749). \`detail\` and \`error_description\` say what is wrong with the call. A stack serves this page at
\`GET /errors\`, and the \`type\` of problem details leads to the section of its code.

${sections.join('\n')}`;
}
