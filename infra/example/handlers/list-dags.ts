import { callerOf, type Event } from './caller.ts';

/** GET /deployments/{deploymentId}/dags: lists the DAGs of a Deployment. */
export const handler = async (event: Event) => {
  const { deploymentId, scope } = callerOf(event);
  return {
    statusCode: 200,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ deployment: deploymentId, dags: ['hourly', 'nightly'], scope }),
  };
};
