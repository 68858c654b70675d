import { describe, expect, it } from 'vitest';
import { isPrincipalArn, listedPrincipal } from '../../functions/domain/people.ts';

const ROLE = 'arn:aws:iam::123456789012:role/ci';
const DEEP = 'arn:aws-cn:iam::123456789012:role/teams/data/ci';
const USER = 'arn:aws:iam::123456789012:user/ada';
const session = (role: string, partition = 'aws', account = '123456789012') =>
  `arn:${partition}:sts::${account}:assumed-role/${role}/some-session`;

describe('isPrincipalArn', () => {
  it.each([
    ROLE,
    DEEP,
    USER,
    'arn:aws:iam::123456789012:user/a/b/c+=,.@_-1',
    `arn:aws:iam::123456789012:role/${'a/'.repeat(80)}${'a'.repeat(64)}`,
  ])('accepts %s as an IAM principal', (arn) => {
    expect(isPrincipalArn(arn)).toBe(true);
  });

  it.each([
    'arn:aws:iam::123456789012:root',
    'arn:aws:iam::123456789012:role/*',
    'arn:aws:iam::123456789012:role/c?',
    'arn:aws:iam::123456789012:role/',
    'arn:aws:iam::123456789012:role/a//b',
    'arn:aws:iam::123456789012:group/a',
    'arn:aws:iam::12345678901:role/ci',
    'arn:aws:iam::1234567890123:role/ci',
    'arn:aws:iam::12345678901x:role/ci',
    'arn:aws:sts::123456789012:role/ci',
    'arn:AWS:iam::123456789012:role/ci',
    'arn:xaws:iam::123456789012:role/ci',
    session('ci'),
    `x${ROLE}`,
    ` ${ROLE}`,
    `${ROLE} `,
    `${ROLE}\n`,
    `arn:aws:iam::123456789012:role/${'a/'.repeat(112)}c`,
    `arn:aws:iam::123456789012:role/${'a'.repeat(65)}`,
    '123456789012',
    '',
  ])('rejects %j as an IAM principal', (arn) => {
    expect(isPrincipalArn(arn)).toBe(false);
  });
});

describe('listedPrincipal', () => {
  const listed = [USER, ROLE, DEEP];

  it('returns the listed ARN for a listed user and for any session of a listed role', () => {
    expect(listedPrincipal(USER, listed)).toBe(USER);
    expect(listedPrincipal(session('ci'), listed)).toBe(ROLE);
    // The ARN of a session contains the name of its role without the path.
    expect(listedPrincipal(session('ci', 'aws-cn'), listed)).toBe(DEEP);
  });

  it.each([
    ['another user', 'arn:aws:iam::123456789012:user/eve'],
    ['a user with the same name under a path', 'arn:aws:iam::123456789012:user/x/ada'],
    ['a user from another account', 'arn:aws:iam::210987654321:user/ada'],
    ['a role whose name starts with a listed name', session('ci2')],
    ['a role whose name ends with a listed name', session('xci')],
    ['a role from another account', session('ci', 'aws', '210987654321')],
    ['a role from another partition', session('ci', 'aws-us-gov')],
    ['the ARN of the role itself, because roles call as sessions', ROLE],
    ['a role with the name of a listed user', session('ada')],
    ['the root user', 'arn:aws:iam::123456789012:root'],
    ['a federated user', 'arn:aws:sts::123456789012:federated-user/ci'],
    ['a session ARN without a session name', 'arn:aws:sts::123456789012:assumed-role/ci'],
    ['a session with an empty name', 'arn:aws:sts::123456789012:assumed-role/ci/'],
    ['a session ARN with two session names', `${session('ci')}/x`],
    ['text before a session ARN', `x${session('ci')}`],
    ['nothing', ''],
    ['the text "undefined"', 'undefined'],
  ])('returns no listed principal for %s', (_, caller) => {
    expect(listedPrincipal(caller, listed)).toBeUndefined();
  });

  it('returns no listed principal when the list is empty or contains no valid principal', () => {
    expect(listedPrincipal(session('ci'), [])).toBeUndefined();
    expect(listedPrincipal('x', ['x', '', 'arn:aws:iam::123456789012:root'])).toBeUndefined();
    expect(listedPrincipal('', [''])).toBeUndefined();
  });
});
