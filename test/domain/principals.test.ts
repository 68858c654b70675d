import { describe, expect, it } from 'vitest';
import { isPrincipalArn, listedPrincipal } from '../../functions/domain/principals.ts';

const ROLE = 'arn:aws:iam::123456789012:role/ci';
const DEEP = 'arn:aws-cn:iam::123456789012:role/teams/data/ci';
const USER = 'arn:aws:iam::123456789012:user/ada';
const session = (role: string, partition = 'aws', account = '123456789012') =>
  `arn:${partition}:sts::${account}:assumed-role/${role}/some-session`;

describe('the ARN of a principal', () => {
  it.each([
    ROLE,
    DEEP,
    USER,
    'arn:aws:iam::123456789012:user/a/b/c+=,.@_-1',
    `arn:aws:iam::123456789012:role/${'a'.repeat(224)}`,
  ])('is %s', (arn) => {
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
    '123456789012',
    '',
  ])('is not %j', (arn) => {
    expect(isPrincipalArn(arn)).toBe(false);
  });
});

describe('a caller', () => {
  const listed = [USER, ROLE, DEEP];

  it('that is listed is known by its ARN as it is listed', () => {
    expect(listedPrincipal(USER, listed)).toBe(USER);
    expect(listedPrincipal(session('ci'), listed)).toBe(ROLE);
    // A session does not tell its role's path.
    expect(listedPrincipal(session('ci', 'aws-cn'), listed)).toBe(DEEP);
  });

  it.each([
    ['another user', 'arn:aws:iam::123456789012:user/eve'],
    ['a user of that name below a path', 'arn:aws:iam::123456789012:user/x/ada'],
    ['a user of another account', 'arn:aws:iam::210987654321:user/ada'],
    ['a role of a name that begins so', session('ci2')],
    ['a role of a name that ends so', session('xci')],
    ['a role of another account', session('ci', 'aws', '210987654321')],
    ['a role of another partition', session('ci', 'aws-us-gov')],
    ['the role itself, which calls as a session', ROLE],
    ['a role by the name of a listed user', session('ada')],
    ['the root user', 'arn:aws:iam::123456789012:root'],
    ['a federated user', 'arn:aws:sts::123456789012:federated-user/ci'],
    ['a session without a name', 'arn:aws:sts::123456789012:assumed-role/ci'],
    ['a session with nothing for a name', 'arn:aws:sts::123456789012:assumed-role/ci/'],
    ['a session of two names', `${session('ci')}/x`],
    ['something before a session', `x${session('ci')}`],
    ['nothing', ''],
    ['what reads undefined', 'undefined'],
  ])('is nobody when it is %s', (_, caller) => {
    expect(listedPrincipal(caller, listed)).toBeUndefined();
  });

  it('is nobody where nobody is listed, or what is listed is no principal', () => {
    expect(listedPrincipal(session('ci'), [])).toBeUndefined();
    expect(listedPrincipal('x', ['x', '', 'arn:aws:iam::123456789012:root'])).toBeUndefined();
    expect(listedPrincipal('', [''])).toBeUndefined();
  });
});
