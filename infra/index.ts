/** What the package offers to other CDK apps: the service, and the authorizer for the APIs behind it. */
export { ConfigError } from './config.ts';
export {
  DeploymentKeyAuthorizer,
  type DeploymentKeyAuthorizerProps,
  type ProtectedRoute,
} from './deployment-key-authorizer.ts';
export { DeploymentKeys, type DeploymentKeysProps } from './deployment-keys.ts';
