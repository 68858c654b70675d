import { describe, expect, it } from 'vitest';
import { isPrincipalArn, listedPrincipal } from '../../functions/domain/principals.ts';

const ROLE = 'arn:aws:iam::111122223333:role/platform/deployer';
const USER = 'arn:aws:iam::111122223333:user/ops/ada';
const LISTED = ['arn:aws:iam::111122223333:role/other', ROLE, USER];
const session = (name: string, account = '111122223333', partition = 'aws') =>
  `arn:${partition}:sts::${account}:assumed-role/${name}/build-7`;

describe('a caller is one of the listed principals', () => {
  it.each([
    ['the session of a role, whatever the path in front of its name', session('deployer'), ROLE],
    ['a user, by path and name', USER, USER],
  ])('%s', (_, caller, listed) => {
    expect(listedPrincipal(caller, LISTED)).toBe(listed);
  });

  it.each([
    ['a role of another name', session('deployer2')],
    ['a role whose name is listed in other letters', session('Deployer')],
    ['a role whose name ends like a listed one', session('a-deployer')],
    ['a role whose name is the path of a listed one', session('platform')],
    ['a role of that name in another account', session('deployer', '444455556666')],
    ['a role of that name in another partition', session('deployer', undefined, 'aws-cn')],
    ['a session whose own name is that of a listed role', session('x').replace('build-7', 'deployer')],
    ['a role that was not assumed', ROLE],
    ['a role that has the name of a listed user', session('ada')],
    ['a user of that name under another path', USER.replace('ops/', '')],
    ['a user who has the name of a listed role', ROLE.replace('role', 'user')],
    ['a federated user', 'arn:aws:sts::111122223333:federated-user/deployer'],
    ['the root user', 'arn:aws:iam::111122223333:root'],
    ['an account', '111122223333'],
    ['nobody', ''],
    ['an ARN with something behind it', `${session('deployer')}/x`],
    ['an ARN with a line break', `${session('deployer')}\n`],
  ])('but not %s', (_, caller) => {
    expect(listedPrincipal(caller, LISTED)).toBeUndefined();
  });

  it('where a list is empty, nobody is', () => {
    expect(listedPrincipal(session('deployer'), [])).toBeUndefined();
  });

  it('where a list holds what is no principal, that is nobody, not everybody', () => {
    for (const wrong of ['*', '', 'arn:aws:iam::111122223333:role/*', 'arn:aws:iam::*:role/deployer']) {
      expect(isPrincipalArn(wrong)).toBe(false);
      expect(listedPrincipal(session('deployer'), [wrong])).toBeUndefined();
      expect(listedPrincipal('', [wrong])).toBeUndefined();
    }
  });
});
