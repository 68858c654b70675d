import { describe, expect, it } from 'vitest';
import { isPlatformRoute, PLATFORM, principalOf } from '../../functions/http/person.ts';

const USER = 'arn:aws:iam::123456789012:user/ada';
const behind = (authorizer: unknown, listed = [USER]) =>
  principalOf({ requestContext: { authorizer } } as never, listed);
const refused = expect.objectContaining({
  status: 403,
  code: 'forbidden',
  message: 'This IAM principal is not one of the platformPrincipals.',
});

it('isPlatformRoute matches paths under /platform, for which API Gateway requires IAM authorization', () => {
  expect(PLATFORM).toBe('/platform');
  expect(isPlatformRoute('GET /platform/deployments')).toBe(true);
  for (const key of ['GET /platform', 'GET /platforms/x', 'GET /deployments/platform/', 'GET /x/platform/'])
    expect(isPlatformRoute(key)).toBe(false);
});

describe('The service accepts the IAM principals that the stack lists', () => {
  it("an IAM principal on the stack's list gets an administrator's rights and its ARN as the sub", () => {
    expect(behind({ iam: { userArn: USER } })).toEqual({
      sub: USER,
      groups: [],
      isAdministrator: true,
      signIn: undefined,
    });
  });

  it('rejects an IAM principal that the stack does not list', () => {
    expect(() => behind({ iam: { userArn: USER } }, [])).toThrow(refused);
    expect(() => behind({ iam: { userArn: `${USER}2` } })).toThrow(refused);
  });

  it('matches an IAM principal only by its exact ARN', () => {
    const role = 'arn:aws:iam::123456789012:role/ci';
    const session = 'arn:aws:sts::123456789012:assumed-role/ci/s';
    expect(behind({ iam: { userArn: session } }, [role])).toMatchObject({ sub: role });
    for (const userArn of [[session], { toString: () => session }])
      expect(() => behind({ iam: { userArn } }, [role])).toThrow(refused);
  });

  it('rejects an IAM principal that API Gateway has not authenticated', () => {
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
