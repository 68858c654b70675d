import { callerOf, type Event } from './caller.ts';

/**
 * POST /deployments/{deploymentId}/deploys: receives code for a Deployment. The example only returns a description of
 * what a real handler would do.
 */
export const handler = async (event: Event) => {
  const { deploymentId, principalId } = callerOf(event);
  return {
    statusCode: 202,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ deploying: deploymentId, by: principalId }),
  };
};
