// `npm run settings` writes this file from infra/settings.ts.
import type { SettingInputs } from './settings.ts';

/** The settings of the service. CDK context has the same names, units and rules. */
export interface DeploymentKeysProps {
  /**
   * `production` keeps the table, the logs and the users when you destroy the stack. The stage is also part of the
   * stack's name.
   *
   * @default `development`
   */
  readonly stage?: SettingInputs['stage'];
  /**
   * The OIDC issuer with which people sign in, exactly as in the `iss` of its tokens. It must be reachable from the
   * internet when the stack is deployed.
   *
   * @default creates a Cognito user pool
   */
  readonly issuer?: SettingInputs['issuer'];
  /**
   * One or more accepted values of `aud`, or of `client_id` if a token has no `aud`.
   *
   * @default none; required with `issuer`
   */
  readonly audience?: SettingInputs['audience'];
  /**
   * The claim of the access token that lists a person's groups.
   *
   * @default `groups`
   */
  readonly groupsClaim?: SettingInputs['groupsClaim'];
  /**
   * The group whose members are administrators.
   *
   * @default none
   */
  readonly adminGroup?: SettingInputs['adminGroup'];
  /**
   * The scope whose holders are administrators.
   *
   * @default none
   */
  readonly adminScope?: SettingInputs['adminScope'];
  /**
   * The public client with which the console signs people in. With `issuer` but without this client, there is no
   * console.
   *
   * @default none
   */
  readonly consoleClientId?: SettingInputs['consoleClientId'];
  /**
   * The OAuth scopes that the console requests from the issuer.
   *
   * @default `openid,profile,email`
   */
  readonly consoleScopes?: SettingInputs['consoleScopes'];
  /**
   * Origins of the issuer's endpoints, if they differ from the issuer's own origin.
   *
   * @default none
   */
  readonly consoleOrigins?: SettingInputs['consoleOrigins'];
  /**
   * `false` leaves out the console.
   *
   * @default `true`
   */
  readonly console?: SettingInputs['console'];
  /**
   * Seconds for which a token stays valid after its last use.
   *
   * @default 86400
   */
  readonly tokenLifetime?: SettingInputs['tokenLifetime'];
  /**
   * Seconds by which the service may delay the extension of a token. A token may expire that much later. 0 is exact,
   * and costs one write for each use.
   *
   * @default 300
   */
  readonly slideInterval?: SettingInputs['slideInterval'];
  /**
   * Seconds after its issue at which a token expires, even if it is used.
   *
   * @default no limit
   */
  readonly maxTokenLifetime?: SettingInputs['maxTokenLifetime'];
  /**
   * Days without a use after which a key is rejected. Enabling or rotating the key starts the count again.
   *
   * @default no limit
   */
  readonly maxIdleDays?: SettingInputs['maxIdleDays'];
  /**
   * Issuers whose tokens a key can accept instead of a secret; `none` for no issuer.
   *
   * @default `https://token.actions.githubusercontent.com,https://gitlab.com`
   */
  readonly trustedIssuers?: SettingInputs['trustedIssuers'];
  /**
   * How much of the address and client of a key's last use is recorded: `full`, `truncated` (the first 24 bits of an
   * IPv4 address, 48 of IPv6), or `off`. The time of the last use is always recorded.
   *
   * @default `full`
   */
  readonly lastUsedFrom?: SettingInputs['lastUsedFrom'];
  /**
   * All scopes that keys can have.
   *
   * @default `code:deploy,airflow:read,airflow:write`
   */
  readonly scopes?: SettingInputs['scopes'];
  /**
   * The domain name of the service. The metadata then contains this name as the issuer, and API Gateway's own
   * endpoint is disabled. Point your DNS record to the output `DomainTarget`.
   *
   * @default API Gateway's own name
   */
  readonly domainName?: SettingInputs['domainName'];
  /**
   * ARN of the certificate of `domainName`, in the stack's Region, or in us-east-1 with `webAclArn`.
   *
   * @default none; required with `domainName`
   */
  readonly certificateArn?: SettingInputs['certificateArn'];
  /**
   * Adds a CloudFront distribution with this web ACL: first read what it does
   * (docs/decisions/a-web-acl-by-cloudfront.md). `certificateArn` must then be in us-east-1.
   *
   * @default none
   */
  readonly webAclArn?: SettingInputs['webAclArn'];
  /**
   * ARN of the customer managed key that encrypts the table. Its key policy must allow this account to use it
   * through DynamoDB.
   *
   * @default the AWS managed key
   */
  readonly encryptionKey?: SettingInputs['encryptionKey'];
  /**
   * ARN of the permissions boundary of every role.
   *
   * @default none
   */
  readonly permissionsBoundary?: SettingInputs['permissionsBoundary'];
  /**
   * `reserved=200`: reserved for the authorizer, and its maximum. `provisioned=5`: environments kept warm, which
   * cost money while idle; `AuthorizerFunctionArn` is then an alias. A new account
   * (docs/first-deploy.md#1-check-the-account) may have too little concurrency for either.
   *
   * @default the unreserved concurrency of the account
   */
  readonly authorizerConcurrency?: SettingInputs['authorizerConcurrency'];
  /**
   * ARN of the SNS topic that every alarm notifies.
   *
   * @default alarms notify no one
   */
  readonly alarmTopic?: SettingInputs['alarmTopic'];
  /**
   * Days for which logs are kept.
   *
   * @default 30
   */
  readonly logRetention?: SettingInputs['logRetention'];
  /**
   * ARNs of IAM roles and users of the stack's account that manage Deployments and keys under `/platform`
   * (docs/platform.md), as administrators.
   *
   * @default none; the routes do not exist
   */
  readonly platformPrincipals?: SettingInputs['platformPrincipals'];
  /**
   * AWS accounts whose APIs may use the authorizer, at most 50. Each takes about 350 bytes of the function's policy,
   * which Lambda limits to 20 KB.
   *
   * @default none
   */
  readonly consumerAccounts?: SettingInputs['consumerAccounts'];
  /**
   * Tags of every resource: `team=platform,cost-centre=4711`.
   *
   * @default none
   */
  readonly tags?: SettingInputs['tags'];
  /**
   * Traces the functions with X-Ray. A trace costs money. It shows where the time is spent; for everything else, the
   * request IDs in the logs are enough.
   *
   * @default `false`
   */
  readonly tracing?: SettingInputs['tracing'];
  /**
   * JSON that describes a DynamoDB table of your own whose rows are Deployments. The stack follows it
   * (docs/deployments-source.md).
   *
   * @default people register Deployments
   */
  readonly deploymentsSource?: SettingInputs['deploymentsSource'];
}
