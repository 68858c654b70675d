import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { EVENT_LIFETIME } from '../../functions/domain/events.ts';
import { IDEMPOTENCY_LIFETIME, TEMPORARY_TOKEN_LIFETIME } from '../../functions/domain/expiry.ts';
import { MAX_NETWORKS } from '../../functions/domain/networks.ts';
import { MAX_RETIRE_AFTER, RETIRE_AFTER } from '../../functions/domain/rotation.ts';
import { MAX_SCOPE_LENGTH, MAX_SCOPES } from '../../functions/domain/scopes.ts';
import { MAX_CLAIMS, MAX_RULES } from '../../functions/domain/trust.ts';
import { MAX_BODY } from '../../functions/http/body.ts';
import { MAX_REPORT } from '../../functions/http/schemas.ts';
import { MAX_CREDENTIALS } from '../../functions/routes/report-leak.ts';
import { MAX_KEYS } from '../../functions/table/keys.ts';
import { CALL_RETRIES, CHECK_RETRIES } from '../../functions/table/retried-calls.ts';

const page = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8');
const HOUR = 60 * 60;
const DAY = 24 * HOUR;

it.each([
  ['keys of a Deployment', MAX_KEYS.toLocaleString('en')],
  ['scopes of a key, of the stack', `${MAX_SCOPES} of ${MAX_SCOPE_LENGTH} characters`],
  ['allowed IP ranges, trust rules, claims of a rule', `${MAX_NETWORKS}, ${MAX_RULES}, ${MAX_CLAIMS}`],
  ['body of a request', `${MAX_BODY / 1024} KiB`],
  ['text of a leak report, different credentials in it', `${MAX_REPORT / 1024} KiB, ${MAX_CREDENTIALS}`],
  ['temporary token', `${TEMPORARY_TOKEN_LIFETIME / HOUR} hours from its issue`],
  ['old secret after a rotation', `${RETIRE_AFTER / DAY} days by default; at most ${MAX_RETIRE_AFTER / DAY}`],
  ['record of an Idempotency-Key', `${IDEMPOTENCY_LIFETIME / HOUR} hours`],
  ['events', `${EVENT_LIFETIME / DAY} days`],
])('docs/limits.md states the limits of the code: %s', (what, most) => {
  expect(page).toContain(`| ${what} | ${most} |`);
});

it('docs/limits.md states how long a call waits for DynamoDB', () => {
  const words = ['', 'one', 'two', 'three'];
  expect(page).toContain(`${words[CHECK_RETRIES.attempts]} attempts of ${CHECK_RETRIES.attemptTimeout} ms`);
  expect(page).toContain(
    `${words[CALL_RETRIES.attempts]} attempts of ${CALL_RETRIES.attemptTimeout / 1000} s`,
  );
});
