/** What the package offers to other CDK apps: the service, and the authorizer for the APIs behind it. */
export { type Config, ConfigError, readConfig, type SignIn } from './config.ts';
export {
  DeploymentKeyAuthorizer,
  type DeploymentKeyAuthorizerProps,
  type ProtectedRoute,
} from './deployment-key-authorizer.ts';
export { DeploymentKeysStack, type DeploymentKeysStackProps } from './stack.ts';
