/** What the package offers to other CDK apps: the service, the authorizer for the APIs behind it, and keys as secrets. */
export type {
  AttributeRule,
  DeploymentsSource,
  RowCondition,
} from '../functions/domain/deployments-source.ts';
export { ConfigError } from './config.ts';
export {
  DeploymentKeyAuthorizer,
  type DeploymentKeyAuthorizerProps,
  type ProtectedRoute,
} from './deployment-key-authorizer.ts';
export { DeploymentKeySecret, type DeploymentKeySecretProps } from './deployment-key-secret.ts';
export { DeploymentKeys, type DeploymentKeysProps } from './deployment-keys.ts';
