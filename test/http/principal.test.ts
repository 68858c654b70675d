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

it('isPlatformRoute matches paths under /platform, which IAM authorises', () => {
  expect(PLATFORM).toBe('/platform');
  expect(isPlatformRoute('GET /platform/deployments')).toBe(true);
  for (const key of ['GET /platform', 'GET /platforms/x', 'GET /deployments/platform/', 'GET /x/platform/'])
    expect(isPlatformRoute(key)).toBe(false);
});

describe('an IAM principal', () => {
  it('becomes an administrator with its ARN as the sub when the stack lists it', () => {
    expect(behind({ iam: { userArn: USER } })).toEqual({ sub: USER, groups: [], isAdministrator: true });
  });

  it('is rejected when the stack does not list it', () => {
    expect(() => behind({ iam: { userArn: USER } }, [])).toThrow(refused);
    expect(() => behind({ iam: { userArn: `${USER}2` } })).toThrow(refused);
  });

  it('is matched by its exact ARN, and not by similar text', () => {
    const role = 'arn:aws:iam::123456789012:role/ci';
    const session = 'arn:aws:sts::123456789012:assumed-role/ci/s';
    expect(behind({ iam: { userArn: session } }, [role])).toMatchObject({ sub: role });
    for (const userArn of [[session], { toString: () => session }])
      expect(() => behind({ iam: { userArn } }, [role])).toThrow(refused);
  });

  it('is rejected when API Gateway has not authenticated it', () => {
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
