import { callerOf, type Event } from './caller.ts';

/** POST /deployments/{deploymentId}/deploys: takes new code for a Deployment. This one only says what it would do. */
export const handler = async (event: Event) => {
  const { deploymentId, principalId } = callerOf(event);
  return {
    statusCode: 202,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ deploying: deploymentId, by: principalId }),
  };
};
