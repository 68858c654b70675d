// `npm run generate` writes this file from infra/settings.ts.
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
   * The OIDC issuer with which people sign in, exactly as in the `iss` claim of its tokens. It must be reachable
   * from the internet when the stack is deployed; synthesis rejects private host names.
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
   * The claim of the access token with a person's name. The service stores the name with what the person creates,
   * and in events. Without `issuer`: the attribute of the user pool, `email`, `name` or `preferred_username`, which
   * a function then adds to access tokens.
   *
   * @default stores no names
   */
  readonly nameClaim?: SettingInputs['nameClaim'];
  /**
   * The public OAuth client with which the console signs people in. If `issuer` is set but this client is not, the
   * stack has no console.
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
   * `false` removes the console.
   *
   * @default `true`
   */
  readonly console?: SettingInputs['console'];
  /**
   * Number of seconds that a token stays valid after its last use. CDK code can also pass a `Duration`.
   *
   * @default 86400
   */
  readonly tokenLifetime?: SettingInputs['tokenLifetime'];
  /**
   * Number of seconds by which the service can delay the extension of a token. A token can then expire that much
   * later. With 0, expiry is exact, and each use costs one write. CDK code can also pass a `Duration`.
   *
   * @default 300
   */
  readonly slideInterval?: SettingInputs['slideInterval'];
  /**
   * Maximum number of seconds that a token is valid after it is issued, even if it is used. CDK code can also pass a
   * `Duration`.
   *
   * @default no limit
   */
  readonly maxTokenLifetime?: SettingInputs['maxTokenLifetime'];
  /**
   * Number of days without use after which the service rejects a key. Enabling or rotating the key restarts the
   * count. CDK code can also pass a `Duration`.
   *
   * @default no limit
   */
  readonly maxIdleDays?: SettingInputs['maxIdleDays'];
  /**
   * Maximum number of days (docs/keys.md#key-policy) from the creation or last rotation of a key to its expiry. A
   * key created without an expiry gets this maximum. Existing keys keep working, but the API and an event report
   * them. CDK code can also pass a `Duration`.
   *
   * @default no limit
   */
  readonly maxKeyDays?: SettingInputs['maxKeyDays'];
  /**
   * `false` forbids new keys with a secret, so that pipelines must exchange tokens of their CI
   * (docs/keys.md#key-policy). Existing keys with a secret keep working and can be rotated.
   *
   * @default `true`
   */
  readonly keysWithSecrets?: SettingInputs['keysWithSecrets'];
  /**
   * Issuers whose tokens a key can accept instead of a secret; `none` for no issuer. Each is a URL, or an object
   * (docs/issuers.md) with `issuer`, and `preset`, `jwks`, `bind` and `audience` as needed.
   *
   * @default `https://token.actions.githubusercontent.com,https://gitlab.com`
   */
  readonly trustedIssuers?: SettingInputs['trustedIssuers'];
  /**
   * How much the service records of the address and client of a key's last use: `full`, `truncated` (the first 24
   * bits of an IPv4 address, or 48 bits of an IPv6 address), or `off`. It always records the time of the last use.
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
   * ARN of the certificate of `domainName`, in the stack's Region, or in us-east-1 with `webAclArn`. CDK code can
   * also pass an `ICertificate`.
   *
   * @default none; required with `domainName`
   */
  readonly certificateArn?: SettingInputs['certificateArn'];
  /**
   * Adds a CloudFront distribution with this web ACL. Read what the distribution does
   * (docs/decisions/a-web-acl-by-cloudfront.md) first. `certificateArn` must then be in us-east-1.
   *
   * @default none
   */
  readonly webAclArn?: SettingInputs['webAclArn'];
  /**
   * ARN of the customer managed key that encrypts the table. Its key policy must allow this account to use the key
   * through DynamoDB. See how to change the key (docs/upgrading.md#change-the-encryption-key). CDK code can also
   * pass an `IKey` that is not an alias.
   *
   * @default the AWS managed key
   */
  readonly encryptionKey?: SettingInputs['encryptionKey'];
  /**
   * Provisions the capacity of the table, in units per second, with auto scaling between a minimum and a maximum at
   * a utilization in per cent. It is cheaper for steady load, but a sudden load is throttled
   * (docs/scale.md#provisioned-capacity): only a table on demand withstands a flood of forged tokens (#36
   * (docs/faults.md)).
   *
   * @default on demand
   */
  readonly capacity?: SettingInputs['capacity'];
  /**
   * ARN of the permissions boundary of every role.
   *
   * @default none
   */
  readonly permissionsBoundary?: SettingInputs['permissionsBoundary'];
  /**
   * Concurrency of the authorizer. `reserved=200` reserves 200 concurrent executions for the authorizer, which is
   * also its maximum. `provisioned=5` keeps 5 environments warm, which cost money while idle;
   * `AuthorizerFunctionArn` is then an alias. A new account might have too little concurrency for either: see
   * `accountConcurrency`.
   *
   * @default the unreserved concurrency of the account
   */
  readonly authorizerConcurrency?: SettingInputs['authorizerConcurrency'];
  /**
   * Memory of the functions in MiB, by group; the CPU share is proportional to it. `checks`: `Authorize` and
   * `Whoami`. `tokens`: the other functions of `/oauth` and the metadata. `jobs`: the purge and all other functions
   * that no caller waits for. `people`: all remaining functions. With more memory, a function starts faster and each
   * call is more expensive.
   *
   * @default `checks=256,tokens=256,people=256,jobs=512`
   */
  readonly memory?: SettingInputs['memory'];
  /**
   * The account's quota of concurrent Lambda executions in the Region, if it is below 1000. Synthesis then rejects
   * an `authorizerConcurrency` that the account does not allow, and the purge leaves concurrency to the authorizer.
   * See how to find the quota (docs/first-deploy.md#1-check-the-account).
   *
   * @default 1000 or more
   */
  readonly accountConcurrency?: SettingInputs['accountConcurrency'];
  /**
   * Requests per second, and concurrent requests, that API Gateway accepts on each route of `/oauth/`, from all
   * callers together. This limit also limits the cost that anonymous callers can cause. A thousand pipelines need
   * far less than the default.
   *
   * @default `rate=100,burst=200`
   */
  readonly oauthRateLimit?: SettingInputs['oauthRateLimit'];
  /**
   * Requests per second, and concurrent requests, that API Gateway accepts on `POST /leaks`, where anonymous callers
   * report leaks.
   *
   * @default `rate=10,burst=20`
   */
  readonly leaksRateLimit?: SettingInputs['leaksRateLimit'];
  /**
   * Requests per second, and concurrent requests, that API Gateway accepts on each other route. The default is half
   * of an account's default quota, so that other APIs in the account stay available.
   *
   * @default `rate=5000,burst=2500`
   */
  readonly defaultRateLimit?: SettingInputs['defaultRateLimit'];
  /**
   * ARN of the SNS topic that every alarm notifies. CDK code can also pass an `ITopic` that is not FIFO.
   *
   * @default alarms notify no one
   */
  readonly alarmTopic?: SettingInputs['alarmTopic'];
  /**
   * Number of days that CloudWatch keeps logs. CDK code can also pass `RetentionDays`, except `INFINITE`.
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
   * AWS accounts whose APIs are allowed to use the authorizer. At most 50, because Lambda limits the function's
   * policy to 20 KB.
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
   * Traces the functions with X-Ray. Traces cost money. They show where a call spends its time; for everything else,
   * the request IDs in the logs are enough.
   *
   * @default `false`
   */
  readonly tracing?: SettingInputs['tracing'];
  /**
   * Has Lambda log the start, the end and the duration of each call. These lines are the largest part of the logs:
   * they cost $0.21 for a million checks (docs/cost.md#dollars).
   *
   * @default `false`
   */
  readonly platformLogs?: SettingInputs['platformLogs'];
  /**
   * JSON description of a DynamoDB table of your own whose rows are Deployments. The stack follows this table
   * (docs/deployments-source.md).
   *
   * @default people register Deployments
   */
  readonly deploymentsSource?: SettingInputs['deploymentsSource'];
}
