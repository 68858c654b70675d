import fc from 'fast-check';
import { expect, it } from 'vitest';
import { withName } from '../../functions/routes/add-name-to-token.ts';

/** The event, of version 2, that Cognito sends when a person signs in on the sign-in page. */
const eventOf = (userAttributes: Record<string, string>, groups: string[] = ['administrators']) => ({
  version: '2',
  triggerSource: 'TokenGeneration_HostedAuth' as const,
  region: 'eu-west-1',
  userPoolId: 'eu-west-1_Example',
  userName: '7d0c3f7e-0000-4000-8000-000000000000',
  callerContext: { awsSdkVersion: 'aws-sdk-unknown-unknown', clientId: 'client' },
  request: {
    userAttributes,
    groupConfiguration: { groupsToOverride: groups, iamRolesToOverride: [], preferredRole: undefined },
    scopes: ['openid', 'profile'],
  },
  response: { claimsAndScopeOverrideDetails: {} },
});

it("the trigger adds the person's email address to the access token, and does not change the groups", () => {
  const event = eventOf({ sub: '7d0c3f7e', email: 'ada@example.com', name: 'Ada' });
  expect(withName(event, 'email')).toStrictEqual({
    ...eventOf({ sub: '7d0c3f7e', email: 'ada@example.com', name: 'Ada' }),
    response: {
      claimsAndScopeOverrideDetails: {
        accessTokenGeneration: { claimsToAddOrOverride: { email: 'ada@example.com' } },
        groupOverrideDetails: {
          groupsToOverride: ['administrators'],
          iamRolesToOverride: [],
          preferredRole: undefined,
        },
      },
    },
  });
});

it('the trigger adds no claim to the access token of a person without a name', () => {
  expect(withName(eventOf({ sub: '7d0c3f7e' }), 'name').response).toStrictEqual({
    claimsAndScopeOverrideDetails: {
      groupOverrideDetails: {
        groupsToOverride: ['administrators'],
        iamRolesToOverride: [],
        preferredRole: undefined,
      },
    },
  });
});

it("no name can change the groups or other claims of a person's access token", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.array(fc.string()), (name, groups) => {
      const { claimsAndScopeOverrideDetails: details } = withName(
        eventOf({ name, 'cognito:groups': 'administrators' }, groups),
        'name',
      ).response;
      expect(details).toStrictEqual({
        accessTokenGeneration: { claimsToAddOrOverride: { name } },
        groupOverrideDetails: {
          groupsToOverride: groups,
          iamRolesToOverride: [],
          preferredRole: undefined,
        },
      });
    }),
  );
});
