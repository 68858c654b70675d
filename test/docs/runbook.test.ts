import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ClientRejection } from '../../functions/domain/client-rejection.ts';
import type { CallDenialReason } from '../../functions/routes/authorize.ts';

const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');

/** Returns the text of a section, without its subsections. */
function section(title: string): string {
  const [, body = ''] = new RegExp(`^#+ ${title}$([^]*?)(?=^#+ )`, 'm').exec(runbook) ?? [];
  return body;
}
const reasonsIn = (title: string) =>
  section(title)
    .split('\n')
    .flatMap((line) => [...line.matchAll(/`([a-z_]+)`/g)].map(([, word]) => word));

/** Every reason for which the authorizer denies a call. */
const DENIALS = Object.keys({
  malformed: true,
  missing: true,
  unknown: true,
  expired: true,
  revoked: true,
  disabled: true,
  deleted: true,
  generation: true,
  network: true,
  deployment: true,
  scope: true,
  request: true,
  configuration: true,
  path: true,
} satisfies Record<CallDenialReason, true>);

describe('docs/runbook.md explains why a pipeline gets 401', () => {
  it('docs/runbook.md explains every reason for a rejected exchange', () => {
    const reasons: Record<ClientRejection, true> = {
      no_credentials: true,
      malformed_id: true,
      malformed_secret: true,
      other_key: true,
      unknown_deployment: true,
      unknown_key: true,
      wrong_secret: true,
      retired_secret: true,
      leaked: true,
      generation: true,
      disabled: true,
      revoked: true,
      expired: true,
      idle: true,
      network: true,
      unknown_token: true,
      no_secret: true,
      malformed_subject_token: true,
      untrusted_issuer: true,
      invalid_subject_token: true,
      no_rule_for_issuer: true,
      audience: true,
      claims: true,
      used_subject_token: true,
    };
    const explained = reasonsIn('The exchange is rejected');
    // The log never calls a key "revoked". For a token, this reason means that its epoch differs from its key's epoch.
    const expected = Object.keys(reasons).filter((reason) => reason !== 'revoked');
    expect(expected.filter((reason) => !explained.includes(reason))).toStrictEqual([]);
  });

  it('docs/runbook.md explains every reason for a denied token', () => {
    const explained = reasonsIn('The token is denied');
    expect(DENIALS.filter((reason) => !explained.includes(reason))).toStrictEqual([]);
  });
});

it('the table in docs/authorizer.md lists every reason for a denial', () => {
  const text = readFileSync(new URL('../../docs/authorizer.md', import.meta.url), 'utf8');
  const rows = text.split('\n').filter((line) => /^\| 40[013]/.test(line));
  for (const reason of DENIALS) expect(rows.join('\n')).toContain(`\`${reason}\``);
});
