import type { PreTokenGenerationV2TriggerEvent } from 'aws-lambda';

/**
 * Adds the claim with a person's name to the access token that Cognito is about to issue. A person without that
 * attribute gets a token without the claim.
 *
 * Source: Amazon Cognito developer guide, "Pre token generation Lambda trigger", event version 2.
 *
 * @param claim name of the claim, and of the user pool's attribute that holds the name
 * @returns the event with the claim in its response
 */
export function withName<Event extends PreTokenGenerationV2TriggerEvent>(event: Event, claim: string): Event {
  const { userAttributes, groupConfiguration } = event.request;
  const name = userAttributes[claim];
  event.response.claimsAndScopeOverrideDetails = {
    ...(name && { accessTokenGeneration: { claimsToAddOrOverride: { [claim]: name } } }),
    // Return the person's groups unchanged. Without them, the token could lose its groups, and the person their access.
    groupOverrideDetails: groupConfiguration,
  };
  return event;
}
