import { describe, expect, it } from 'vitest';
import { isPlatformRoute, PLATFORM, principalOf } from '../../functions/http/principal.ts';

const USER = 'arn:aws:iam::123456789012:user/ada';
const behind = (authorizer: unknown, listed = [USER]) =>
  principalOf({ requestContext: { authorizer } } as never, listed);
const refused = expect.objectContaining({
  status: 403,
  code: 'forbidden',
  message: 'This IAM principal is not one of the platformPrincipals.',
});

it('the paths that IAM authorises begin with /platform', () => {
  expect(PLATFORM).toBe('/platform');
  expect(isPlatformRoute('GET /platform/deployments')).toBe(true);
  for (const key of ['GET /platform', 'GET /platforms/x', 'GET /deployments/platform/', 'GET /x/platform/'])
    expect(isPlatformRoute(key)).toBe(false);
});

describe('an IAM principal', () => {
  it('that the stack lists is an administrator, by its ARN', () => {
    expect(behind({ iam: { userArn: USER } })).toEqual({ sub: USER, groups: [], isAdministrator: true });
  });

  it('that is not listed is refused', () => {
    expect(() => behind({ iam: { userArn: USER } }, [])).toThrow(refused);
    expect(() => behind({ iam: { userArn: `${USER}2` } })).toThrow(refused);
  });

  it('is named by one text, and by nothing that reads like it', () => {
    const role = 'arn:aws:iam::123456789012:role/ci';
    const session = 'arn:aws:sts::123456789012:assumed-role/ci/s';
    expect(behind({ iam: { userArn: session } }, [role])).toMatchObject({ sub: role });
    for (const userArn of [[session], { toString: () => session }])
      expect(() => behind({ iam: { userArn } }, [role])).toThrow(refused);
  });

  it('without the word of the gateway is nobody', () => {
    for (const authorizer of [
      undefined,
      {},
      { iam: {} },
      { iam: null },
      { iam: { userArn: 7 } },
      { jwt: {} },
    ])
      expect(() => behind(authorizer)).toThrow(refused);
  });
});
