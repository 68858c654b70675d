/** The constructs for other CDK apps: the service, its authorizer, and keys in Secrets Manager. */
export type {
  AttributeRule,
  DeploymentsSource,
  RowCondition,
} from '../functions/domain/deployments-source.ts';
export {
  DeploymentKeyAuthorizer,
  type DeploymentKeyAuthorizerProps,
  type ProtectedRoute,
} from './deployment-key-authorizer.ts';
export { DeploymentKeySecret, type DeploymentKeySecretProps } from './deployment-key-secret.ts';
export { DeploymentKeys } from './deployment-keys.ts';
export type { DeploymentKeysProps } from './deployment-keys-props.ts';
export type { DeploymentKeysReference } from './deployment-keys-reference.ts';
export { ConfigError } from './settings.ts';
