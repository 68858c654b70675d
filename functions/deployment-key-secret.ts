import type { CloudFormationCustomResourceEvent, Context } from 'aws-lambda';
import { keySecret, RESERVE } from './jobs/deployment-key-secret.ts';
import { respond } from './runtime/cloudformation-response.ts';
import { readAwsAccess } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';
import { openPlatformApi } from './runtime/platform-api.ts';
import { openSecrets } from './runtime/secrets-manager.ts';

const logger = newLogger('deployment-key-secret');
const putSecret = openSecrets();

/** Lambda handler of the CloudFormation custom resource in stacks that use the DeploymentKeySecret construct. */
export const handler = async (event: CloudFormationCustomResourceEvent, context: Context): Promise<void> => {
  const deadline = Date.now() + context.getRemainingTimeInMillis() - RESERVE;
  const response = await keySecret(event, { call: openPlatformApi(readAwsAccess(), deadline), putSecret });
  const { Status: status, PhysicalResourceId: physicalId, Reason: reason } = response;
  const { RequestType: type, RequestId: requestId, LogicalResourceId: logicalId } = event;
  logger.info('CloudFormation request', { type, requestId, logicalId, status, physicalId, reason });
  await respond(event.ResponseURL, response);
};
