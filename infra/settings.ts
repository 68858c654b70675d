import { type Duration, Token } from 'aws-cdk-lib';
import type { ICertificate } from 'aws-cdk-lib/aws-certificatemanager';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { closestMatch } from 'leven';
import { z } from 'zod';
import type { DeploymentsSource } from '../functions/domain/deployments-source.ts';
import { DAY_SECONDS } from '../functions/domain/expiry.ts';
import { isPrincipalArn } from '../functions/domain/people.ts';
import { isScope, MAX_SCOPES } from '../functions/domain/scopes.ts';
import { trustedIssuers } from './trusted-issuers.ts';

/** Thrown when settings are not valid. The message has one line for each wrong setting. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** The purposes of settings, in the order of docs/settings.md. */
export const SETTING_GROUPS = [
  'Stack',
  'Sign-in and console',
  'Keys and tokens',
  'Your platform and your APIs',
  'Capacity and rate limits',
  'Logs and alarms',
] as const;
type SettingGroup = (typeof SETTING_GROUPS)[number];

/**
 * Documentation of a setting. docs/settings.md and DeploymentKeysProps contain this text; run `npm run generate` after
 * a change.
 */
export interface SettingDescription {
  /** The purpose of the setting: the section of docs/settings.md that contains it. */
  readonly group: SettingGroup;
  /** Description of the setting in Markdown, without a full stop at the end. Links are relative to docs/. */
  readonly description: string;
  /** What the construct's property also accepts, worded to follow "can also pass". CDK context cannot contain it. */
  readonly inCode?: string;
  /** Behaviour without the setting, if the schema has no default. */
  readonly absent?: string;
  /** Description of the valid values, worded to follow "must be". */
  readonly rule: string;
  /** A valid value in the format of `-c`. */
  readonly example: string;
}

const descriptions = z.registry<SettingDescription>();

const YEAR = 365 * DAY_SECONDS;

/** A whole number from cdk.json, or a string from `-c`. The schema does not convert other values. */
const whole = (from: number, to: number) => {
  const digits = z
    .string()
    .regex(/^\d{1,9}$/)
    .transform(Number);
  return z.union([z.number(), digits]).pipe(z.number().int().min(from).max(to));
};

/**
 * Reports whether a property is an object with this member. The check does not use `instanceof`, because an app can load
 * two copies of the CDK.
 */
const hasMember = (given: unknown, member: string): given is object =>
  typeof given === 'object' && given !== null && member in given;

/** A whole number, as `whole` accepts it, or a CDK `Duration` that is a whole number of these units. */
const time = (unit: 'seconds' | 'days', from: number, to: number) => {
  const duration = z
    .custom<Duration>((given) => hasMember(given, 'toSeconds') && !(given as Duration).isUnresolved())
    .transform((it) =>
      unit === 'days' ? it.toDays({ integral: false }) : it.toSeconds({ integral: false }),
    );
  return z.union([whole(from, to), duration.pipe(z.number().int().min(from).max(to))]);
};

/**
 * A list of distinct words: a list from JSON, or a single string from `-c` in which commas or spaces separate the
 * words.
 */
const words = (word: z.ZodString, most: number) =>
  z
    .union([z.array(z.string()).readonly(), z.string().transform((text) => text.split(/[\s,]+/))])
    .pipe(z.array(word).min(1).max(most))
    .refine((list) => new Set(list).size === list.length);

const isLoopback = (host: string) =>
  host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);

function isIssuer(text: string): boolean {
  if (!URL.canParse(text) || /[\s?#]/.test(text)) return false;
  const url = new URL(text);
  const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
  return isSafe && url.username === '' && url.password === '';
}

/** A boolean from cdk.json, or a string from `-c`. */
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);

/**
 * Names with values: an object from JSON, or a single string from `-c` such as `name=value`, with commas between the
 * pairs.
 */
const pairs = z.union([
  z.record(z.string(), z.union([z.string(), z.number()]).transform(String)),
  z
    .string()
    .refine((text) => text.split(',').every((pair) => /^[^=]+=[^=]*$/.test(pair)))
    .transform((text) => text.split(',').map((pair) => pair.trim().split('=')))
    .refine((list) => new Set(list.map(([name]) => name)).size === list.length)
    .transform((list): Record<string, string> => Object.fromEntries(list)),
]);

/** A string that matches the pattern, or a CDK token, whose value is known only at deployment. */
const formed = (form: RegExp) => z.string().refine((text) => Token.isUnresolved(text) || form.test(text));

const arn = (service: string, rest: string) => formed(new RegExp(`^arn:aws[a-z-]*:${service}:${rest}$`));

/**
 * The ARN of a resource, or the CDK construct of the resource, whose ARN is then used. A construct in another stack of
 * the app is accepted too: its ARN is a token here, and the CDK exports it from that stack.
 */
const arnOr = <Resource extends object>(
  text: z.ZodType<string, string>,
  arnOf: (resource: Resource) => string | undefined,
) =>
  z
    .union([
      z.string(),
      z
        .custom<Resource>((given) => typeof given === 'object' && given !== null)
        .transform((resource) => arnOf(resource)),
    ])
    .pipe(text);

/** Memory in MiB, by group of functions. */
const memory = z.preprocess(
  (given: string | { readonly [group: string]: number }) =>
    typeof given === 'string' ? pairs.safeParse(given).data : given,
  z.strictObject({
    checks: whole(128, 10_240).default(256),
    tokens: whole(128, 10_240).default(256),
    people: whole(128, 10_240).default(256),
    jobs: whole(128, 10_240).default(512),
  }),
);

/**
 * Provisioned capacity of the table in units per second, and the utilization that auto scaling aims for, in per cent.
 */
const capacity = z.preprocess(
  (given: string | { readonly [limit: string]: number }) =>
    typeof given === 'string' ? pairs.safeParse(given).data : given,
  z
    .strictObject({
      minRead: whole(1, 40_000),
      maxRead: whole(1, 40_000),
      minWrite: whole(25, 40_000),
      maxWrite: whole(25, 40_000),
      utilization: whole(20, 90).default(60),
    })
    .refine(({ minRead, maxRead, minWrite, maxWrite }) => minRead <= maxRead && minWrite <= maxWrite),
);

const KEPT_DAYS = Object.values(RetentionDays).filter((it) => typeof it === 'number' && it < 9999);

const concurrency = z.preprocess(
  (given: string | { readonly reserved?: number | undefined; readonly provisioned?: number | undefined }) =>
    typeof given === 'string' ? pairs.safeParse(given).data : given,
  z
    .strictObject({
      reserved: whole(1, 10_000).optional(),
      provisioned: whole(1, 10_000).optional(),
    })
    .refine(({ reserved, provisioned }) => reserved !== undefined || provisioned !== undefined)
    .refine(({ reserved, provisioned }) => (provisioned ?? 0) <= (reserved ?? Number.POSITIVE_INFINITY)),
);

/**
 * Limit on the requests that API Gateway accepts on one route from all callers together. API Gateway rejects further
 * requests with a 429.
 */
export interface RateLimit {
  /** Average number of requests per second. */
  readonly rate: number;
  /** Maximum number of concurrent requests. */
  readonly burst: number;
}

const rateLimit = (standard: RateLimit) =>
  z
    .preprocess(
      (given: string | { readonly rate?: number | undefined; readonly burst?: number | undefined }) =>
        typeof given === 'string' ? pairs.safeParse(given).data : given,
      z.strictObject({
        rate: whole(1, 100_000).default(standard.rate),
        burst: whole(1, 100_000).default(standard.burst),
      }),
    )
    .default(standard);

const RATE_LIMIT = 'rate=N, burst=N or both between commas, N from 1 to 100000';

/**
 * Reports whether every JavaScript object has a property with this name. Every row would seem to have an attribute with
 * such a name. In addition, a record schema discards `__proto__`.
 */
const isOfEveryObject = (name: string) => Object.hasOwn(Object.prototype, name);
const attribute = z
  .string()
  .regex(/^\P{Cc}{1,255}$/u)
  .refine((name) => !isOfEveryObject(name));
const scalar = z.union([z.string().min(1).max(256), z.number(), z.boolean()]);
const condition = z
  .custom<object>((given) => typeof given !== 'object' || !Object.keys(given ?? {}).some(isOfEveryObject))
  .pipe(
    z.record(
      attribute,
      z.union([scalar, z.array(scalar).min(1).max(20), z.strictObject({ exists: z.boolean() })]),
    ),
  )
  .refine((rules) => Object.keys(rules).length >= 1 && Object.keys(rules).length <= 10);
const kmsKey = arn('kms', '[a-z0-9-]+:\\d{12}:key/[\\w-]+');
const tableArn = '[a-z0-9-]+:\\d{12}:table/[\\w.-]{3,255}';

/** An object from cdk.json, or JSON text from `-c`. */
const deploymentsSource = z.preprocess(
  (given: string | DeploymentsSource) => (typeof given === 'string' ? fromJson(given) : given),
  z
    .strictObject({
      table: arn('dynamodb', tableArn),
      stream: arn('dynamodb', `${tableArn}/stream/[\\w:.-]+`),
      id: attribute,
      name: attribute.optional(),
      groups: attribute.optional(),
      where: condition.optional(),
      deleted: condition.optional(),
      deletions: z
        .strictObject({
          perHour: z.int().min(0).max(1_000_000).optional(),
          share: z.number().min(0).max(1).optional(),
        })
        .optional(),
      encryptionKey: kmsKey.optional(),
    })
    .refine(
      ({ table, stream }) =>
        Token.isUnresolved(table) || Token.isUnresolved(stream) || stream.startsWith(`${table}/stream/`),
      { path: ['stream'] },
    ),
);

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Every setting: its values, its default and its description. */
const schema = z.object({
  stage: z.enum(['development', 'production']).default('development').register(descriptions, {
    group: 'Stack',
    description:
      "`production` keeps the table, the logs and the users when you destroy the stack. The stage is also part of the stack's name",
    rule: 'development or production',
    example: 'production',
  }),
  issuer: z
    .string()
    .refine((text) => Token.isUnresolved(text) || isIssuer(text))
    .optional()
    .register(descriptions, {
      group: 'Sign-in and console',
      description:
        'The OIDC issuer with which people sign in, exactly as in the `iss` claim of its tokens. It must be reachable from the ' +
        'internet when the stack is deployed; synthesis rejects private host names',
      absent: 'creates a Cognito user pool',
      rule: 'an https URL without query, fragment or credentials (http only for a loopback host)',
      example: 'https://login.example.com/realms/staff',
    }),
  audience: words(z.string().regex(/^[\x21-\x7e]{1,256}$/), 50)
    .optional()
    .register(descriptions, {
      group: 'Sign-in and console',
      description: 'One or more accepted values of `aud`, or of `client_id` if a token has no `aud`',
      absent: 'none; required with `issuer`',
      rule: '1 to 50 different words of up to 256 printable characters, between commas',
      example: 'deployment-keys,platform-cli',
    }),
  groupsClaim: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/)
    .default('groups')
    .register(descriptions, {
      group: 'Sign-in and console',
      description: "The claim of the access token that lists a person's groups",
      rule: 'the name of a claim, up to 128 printable characters without spaces',
      example: 'groups',
    }),
  adminGroup: z
    .string()
    .regex(/^(?! )\P{Cc}{1,128}(?<! )$/u)
    .optional()
    .register(descriptions, {
      group: 'Sign-in and console',
      description: 'The group whose members are administrators',
      absent: 'none',
      rule: 'the name of a group, up to 128 characters, without control characters and outer spaces',
      example: 'platform-admins',
    }),
  adminScope: z
    .string()
    .regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/)
    .optional()
    .register(descriptions, {
      group: 'Sign-in and console',
      description: 'The scope whose holders are administrators',
      absent: 'none',
      rule: 'one OAuth scope of up to 128 characters',
      example: 'deployments:admin',
    }),
  nameClaim: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/)
    .optional()
    .register(descriptions, {
      group: 'Sign-in and console',
      description:
        "The claim of the access token with a person's name. The service stores the name with what the person creates, and in events. Without `issuer`: the attribute of the user pool, `email`, `name` or `preferred_username`, which a function then adds to access tokens",
      absent: 'stores no names',
      rule: 'the name of a claim, up to 128 printable characters without spaces; without issuer, email, name or preferred_username',
      example: 'name',
    }),
  consoleClientId: z
    .string()
    .regex(/^[\x21-\x7e]{1,256}$/)
    .optional()
    .register(descriptions, {
      group: 'Sign-in and console',
      description:
        'The public OAuth client with which the console signs people in. If `issuer` is set but this client is not, the stack has no console',
      absent: 'none',
      rule: 'an OAuth client ID of up to 256 printable characters without spaces',
      example: 'deployment-keys-console',
    }),
  consoleScopes: words(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/), 20)
    .refine((list) => list.includes('openid'))
    .optional()
    .register(descriptions, {
      group: 'Sign-in and console',
      description: 'The OAuth scopes that the console requests from the issuer',
      absent: '`openid,profile,email`',
      rule: '1 to 20 different OAuth scopes, between commas, openid among them',
      example: 'openid,email,deployment-keys/use',
    }),
  consoleOrigins: words(z.string().regex(/^https:\/\/[a-z0-9.-]+(:\d{1,5})?$/), 10)
    .optional()
    .register(descriptions, {
      group: 'Sign-in and console',
      description: "Origins of the issuer's endpoints, if they differ from the issuer's own origin",
      absent: 'none',
      rule: '1 to 10 different https origins in lower case, without a path, between commas',
      example: 'https://oauth2.example.com',
    }),
  console: flag.default(true).register(descriptions, {
    group: 'Sign-in and console',
    description: '`false` removes the console',
    rule: 'true or false',
    example: 'false',
  }),
  tokenLifetime: time('seconds', 1, YEAR)
    .default(24 * 60 * 60)
    .register(descriptions, {
      group: 'Keys and tokens',
      description: 'Number of seconds that a token stays valid after its last use',
      inCode: 'a `Duration`',
      rule: `whole seconds from 1 to ${YEAR}`,
      example: '86400',
    }),
  slideInterval: time('seconds', 0, 24 * 60 * 60)
    .default(300)
    .register(descriptions, {
      group: 'Keys and tokens',
      description:
        'Number of seconds by which the service can delay the extension of a token. A token can then expire that much later. With 0, expiry is exact, and each use costs one write',
      inCode: 'a `Duration`',
      rule: 'whole seconds from 0 to 86400',
      example: '300',
    }),
  maxTokenLifetime: time('seconds', 1, 10 * YEAR)
    .optional()
    .register(descriptions, {
      group: 'Keys and tokens',
      description: 'Maximum number of seconds that a token is valid after it is issued, even if it is used',
      absent: 'no limit',
      inCode: 'a `Duration`',
      rule: `whole seconds from tokenLifetime to ${10 * YEAR}`,
      example: '2592000',
    }),
  maxIdleDays: time('days', 1, 3650).optional().register(descriptions, {
    group: 'Keys and tokens',
    description:
      'Number of days without use after which the service rejects a key. Enabling or rotating the key restarts the count',
    absent: 'no limit',
    inCode: 'a `Duration`',
    rule: 'whole days from 1 to 3650, as long as tokenLifetime and slideInterval together or longer',
    example: '90',
  }),
  maxKeyDays: time('days', 1, 3650)
    .optional()
    .register(descriptions, {
      group: 'Keys and tokens',
      description:
        '[Maximum number of days](keys.md#key-policy) from the creation or last rotation of a key to its expiry. A key created ' +
        'without an expiry gets this maximum. Existing keys keep working, but the API and an event report them',
      absent: 'no limit',
      inCode: 'a `Duration`',
      rule: 'whole days from 1 to 3650',
      example: '90',
    }),
  keysWithSecrets: flag.default(true).register(descriptions, {
    group: 'Keys and tokens',
    description:
      '`false` forbids new keys with a secret, so that pipelines must [exchange tokens of their CI](keys.md#key-policy). ' +
      'Existing keys with a secret keep working and can be rotated',
    rule: 'true or false',
    example: 'false',
  }),
  trustedIssuers: trustedIssuers(isIssuer)
    .default(['https://token.actions.githubusercontent.com', 'https://gitlab.com'])
    .register(descriptions, {
      group: 'Keys and tokens',
      description:
        'Issuers whose tokens a key can accept instead of a secret; `none` for no issuer. Each is a URL, or ' +
        '[an object](issuers.md) with `issuer`, and `preset`, `jwks`, `bind` and `audience` as needed',
      rule:
        'none, 1 to 10 different https URLs between commas (http only for a loopback host), or a JSON array of URLs ' +
        'and of objects with issuer',
      example: 'https://token.actions.githubusercontent.com',
    }),
  lastUsedFrom: z.enum(['full', 'truncated', 'off']).default('full').register(descriptions, {
    group: 'Keys and tokens',
    description:
      "How much the service records of the address and client of a key's last use: `full`, `truncated` (the first 24 bits of an IPv4 address, or 48 bits of an IPv6 address), or `off`. It always records the time of the last use",
    rule: 'full, truncated or off',
    example: 'truncated',
  }),
  scopes: words(z.string().refine(isScope), MAX_SCOPES)
    .default(['code:deploy', 'airflow:read', 'airflow:write'])
    .register(descriptions, {
      group: 'Keys and tokens',
      description: 'All scopes that keys can have',
      rule:
        '1 to 16 different scopes of up to 64 characters, lower-case words joined by colons, ' +
        'between commas, none with deployment as its first word and none of them any',
      example: 'code:deploy,airflow:read',
    }),
  domainName: z
    .string()
    .regex(/^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/)
    .optional()
    .register(descriptions, {
      group: 'Stack',
      description:
        "The domain name of the service. The metadata then contains this name as the issuer, and API Gateway's own endpoint is disabled. Point your DNS record to the output `DomainTarget`",
      absent: "API Gateway's own name",
      rule: 'a domain name in lower case, and come with certificateArn',
      example: 'keys.example.com',
    }),
  certificateArn: arnOr(
    arn('acm', '[a-z0-9-]+:\\d{12}:certificate/[\\w-]+'),
    (it: ICertificate) => it.certificateArn,
  )
    .optional()
    .register(descriptions, {
      group: 'Stack',
      description:
        "ARN of the certificate of `domainName`, in the stack's Region, or in us-east-1 with `webAclArn`",
      absent: 'none; required with `domainName`',
      inCode: 'an `ICertificate`',
      rule: 'the ARN of an ACM certificate, come with domainName, and be of us-east-1 where webAclArn is set',
      example: 'arn:aws:acm:us-east-1:111122223333:certificate/0e3f1a2b-0000-4000-8000-000000000000',
    }),
  webAclArn: arn('wafv2', 'us-east-1:\\d{12}:global/webacl/[\\w-]+/[\\w-]+')
    .optional()
    .register(descriptions, {
      group: 'Stack',
      description:
        'Adds a CloudFront distribution with this web ACL. Read [what the distribution does](decisions/a-web-acl-by-cloudfront.md) first. `certificateArn` must then be in us-east-1',
      absent: 'none',
      rule: 'the ARN of a web ACL for CloudFront, and come with domainName',
      example: 'arn:aws:wafv2:us-east-1:111122223333:global/webacl/keys/0e3f1a2b-0000-4000-8000-000000000000',
    }),
  // An alias is also an IKey, but a policy for the ARN of an alias does not allow the use of its key.
  encryptionKey: arnOr(kmsKey, (it: IKey) => ('aliasName' in it ? undefined : it.keyArn))
    .optional()
    .register(descriptions, {
      group: 'Stack',
      description:
        'ARN of the customer managed key that encrypts the table. Its key policy must allow this account to use the key through DynamoDB. See [how to change the key](upgrading.md#change-the-encryption-key)',
      absent: 'the AWS managed key',
      inCode: 'an `IKey` that is not an alias',
      rule: 'the ARN of a KMS key, not of an alias',
      example: 'arn:aws:kms:eu-west-1:111122223333:key/0e3f1a2b-0000-4000-8000-000000000000',
    }),
  capacity: capacity.optional().register(descriptions, {
    group: 'Capacity and rate limits',
    description:
      'Provisions the capacity of the table, in units per second, with auto scaling between a minimum and a maximum at a ' +
      'utilization in per cent. It is cheaper for steady load, but [a sudden load is throttled](scale.md#provisioned-capacity): ' +
      'only a table on demand withstands a flood of forged tokens ([#36](faults.md))',
    absent: 'on demand',
    rule:
      'minRead=N, maxRead=N, minWrite=N, maxWrite=N between commas, N from 1 to 40000 (writes from 25), no minimum above its ' +
      'maximum, and optionally utilization=N, N from 20 to 90',
    example: 'minRead=100,maxRead=1000,minWrite=100,maxWrite=500',
  }),
  permissionsBoundary: arn('iam', ':(\\d{12}|aws):policy/[\\w+=,.@/-]+').optional().register(descriptions, {
    group: 'Stack',
    description: 'ARN of the permissions boundary of every role',
    absent: 'none',
    rule: 'the ARN of an IAM policy',
    example: 'arn:aws:iam::111122223333:policy/boundary',
  }),
  authorizerConcurrency: concurrency.optional().register(descriptions, {
    group: 'Capacity and rate limits',
    description:
      'Concurrency of the authorizer. `reserved=200` reserves 200 concurrent executions for the authorizer, which is also its maximum. `provisioned=5` keeps 5 environments warm, which cost money while idle; `AuthorizerFunctionArn` is then an alias. A new account might have too little concurrency for either: see `accountConcurrency`',
    absent: 'the unreserved concurrency of the account',
    rule: 'reserved=N, provisioned=N or both between commas, N from 1 to 10000, provisioned no more than reserved',
    example: 'reserved=200,provisioned=5',
  }),
  memory: memory.prefault({}).register(descriptions, {
    group: 'Capacity and rate limits',
    description:
      'Memory of the functions in MiB, by group; the CPU share is proportional to it. `checks`: `Authorize` and `Whoami`. `tokens`: ' +
      'the other functions of `/oauth` and the metadata. `jobs`: the purge and all other functions that no caller waits for. ' +
      '`people`: all remaining functions. With more memory, a function starts faster and each call is more expensive',
    absent: '`checks=256,tokens=256,people=256,jobs=512`',
    rule: 'checks=N, tokens=N, people=N, jobs=N or several between commas, N from 128 to 10240',
    example: 'checks=512,jobs=1024',
  }),
  accountConcurrency: whole(10, 1_000_000)
    .optional()
    .register(descriptions, {
      group: 'Capacity and rate limits',
      description:
        "The account's quota of concurrent Lambda executions in the Region, if it is below 1000. Synthesis then rejects an " +
        '`authorizerConcurrency` that the account does not allow, and the purge leaves concurrency to the authorizer. See ' +
        '[how to find the quota](first-deploy.md#1-check-the-account)',
      absent: '1000 or more',
      rule: 'a whole number from 10 to 1000000',
      example: '50',
    }),
  oauthRateLimit: rateLimit({ rate: 100, burst: 200 }).register(descriptions, {
    group: 'Capacity and rate limits',
    description:
      'Requests per second, and concurrent requests, that API Gateway accepts on each route of `/oauth/`, from all callers ' +
      'together. This limit also limits the cost that anonymous callers can cause. A thousand pipelines need far less than ' +
      'the default',
    absent: '`rate=100,burst=200`',
    rule: RATE_LIMIT,
    example: 'rate=500,burst=1000',
  }),
  leaksRateLimit: rateLimit({ rate: 10, burst: 20 }).register(descriptions, {
    group: 'Capacity and rate limits',
    description:
      'Requests per second, and concurrent requests, that API Gateway accepts on `POST /leaks`, where anonymous callers report leaks',
    absent: '`rate=10,burst=20`',
    rule: RATE_LIMIT,
    example: 'rate=20,burst=40',
  }),
  defaultRateLimit: rateLimit({ rate: 5000, burst: 2500 }).register(descriptions, {
    group: 'Capacity and rate limits',
    description:
      'Requests per second, and concurrent requests, that API Gateway accepts on each other route. The default is half of an ' +
      "account's default quota, so that other APIs in the account stay available",
    absent: '`rate=5000,burst=2500`',
    rule: RATE_LIMIT,
    example: 'rate=2500,burst=1250',
  }),
  alarmTopic: arnOr(arn('sns', '[a-z0-9-]+:\\d{12}:[\\w-]+'), (it: ITopic) =>
    it.fifo ? undefined : it.topicArn,
  )
    .optional()
    .register(descriptions, {
      group: 'Logs and alarms',
      description: 'ARN of the SNS topic that every alarm notifies',
      absent: 'alarms notify no one',
      inCode: 'an `ITopic` that is not FIFO',
      rule: 'the ARN of an SNS topic that is not FIFO',
      example: 'arn:aws:sns:eu-west-1:111122223333:on-call',
    }),
  logRetention: whole(1, 9998)
    .refine((days) => KEPT_DAYS.includes(days))
    .default(30)
    .register(descriptions, {
      group: 'Logs and alarms',
      description: 'Number of days that CloudWatch keeps logs',
      inCode: '`RetentionDays`, except `INFINITE`',
      rule: `days that CloudWatch Logs knows: ${KEPT_DAYS.join(', ')}`,
      example: '90',
    }),
  platformPrincipals: words(
    z.string().refine((text) => Token.isUnresolved(text) || isPrincipalArn(text)),
    20,
  )
    .optional()
    .register(descriptions, {
      group: 'Your platform and your APIs',
      description:
        "ARNs of IAM roles and users of the stack's account that manage Deployments and keys [under `/platform`](platform.md), as administrators",
      absent: 'none; the routes do not exist',
      rule: '1 to 20 different ARNs of IAM roles or users of up to 255 characters, between commas',
      example: 'arn:aws:iam::111122223333:role/platform',
    }),
  consumerAccounts: words(z.string().regex(/^\d{12}$/), 50)
    .optional()
    .register(descriptions, {
      group: 'Your platform and your APIs',
      description:
        "AWS accounts whose APIs are allowed to use the authorizer. At most 50, because Lambda limits the function's policy to 20 KB",
      absent: 'none',
      rule: '1 to 50 different AWS account IDs of 12 digits, between commas',
      example: '111122223333,444455556666',
    }),
  tags: pairs
    .pipe(
      z
        .record(
          z.string().regex(/^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u),
          z.string().regex(/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u),
        )
        .refine((all) => Object.keys(all).length <= 40),
    )
    .default({})
    .register(descriptions, {
      group: 'Stack',
      description: 'Tags of every resource: `team=platform,cost-centre=4711`',
      absent: 'none',
      rule: 'at most 40 tags as name=value between commas, letters, digits, spaces and _.:/=+-@ in them',
      example: 'team=platform,cost-centre=4711',
    }),
  tracing: flag.default(false).register(descriptions, {
    group: 'Logs and alarms',
    description:
      'Traces the functions with X-Ray. Traces cost money. They show where a call spends its time; for everything else, the request IDs in the logs are enough',
    rule: 'true or false',
    example: 'true',
  }),
  platformLogs: flag.default(false).register(descriptions, {
    group: 'Logs and alarms',
    description:
      'Has Lambda log the start, the end and the duration of each call. These lines are the largest part of the logs: [they cost $0.21 for a million checks](cost.md#dollars)',
    rule: 'true or false',
    example: 'true',
  }),
  deploymentsSource: deploymentsSource.optional().register(descriptions, {
    group: 'Your platform and your APIs',
    description:
      'JSON description of a DynamoDB table of your own whose rows are Deployments. [The stack follows this table](deployments-source.md)',
    absent: 'people register Deployments',
    rule:
      'JSON with table and stream, the ARNs of a DynamoDB table and its stream, and id, the name of an attribute; ' +
      'it may have the attributes name and groups, the conditions where and deleted (1 to 10 attributes, each with a ' +
      'value, a list of values or {"exists":true}), deletions, a limit such as {"perHour":20,"share":0.25}, and ' +
      'encryptionKey, the ARN of a KMS key',
    example:
      '\'{"table":"arn:aws:dynamodb:eu-west-1:111122223333:table/platform",' +
      '"stream":"arn:aws:dynamodb:eu-west-1:111122223333:table/platform/stream/2026-01-01T00:00:00.000",' +
      '"id":"deploymentId","where":{"type":"deployment"},"deleted":{"status":["deleted"]}}\'',
  }),
});

/** The name of a setting. */
export type SettingName = keyof typeof schema.shape;
const NAMES = Object.keys(schema.shape) as SettingName[];

/** The values that each setting accepts, both in the CDK context and as a property of the construct. */
export type SettingInputs = z.input<typeof schema>;

type Values = z.output<typeof schema>;

/** The same properties, each with a value. `Required` would keep the type `undefined`, which optional settings include. */
type Given<T> = { [Name in keyof T]-?: NonNullable<T[Name]> };

/** The issuer that signs people in, and how the service reads its access tokens. */
export type SignIn = Given<Pick<Values, 'issuer' | 'audience' | 'groupsClaim'>> &
  Pick<Values, 'adminGroup' | 'adminScope' | 'consoleClientId' | 'consoleScopes' | 'consoleOrigins'> & {
    /** ID of the stack's own user pool; undefined if people sign in with a different issuer. */
    readonly userPoolId?: string;
  };

/** The domain name of the service. With a web ACL, a CloudFront distribution has this name. */
export type Domain = Given<Pick<Values, 'domainName' | 'certificateArn'>> & Pick<Values, 'webAclArn'>;

/** Valid settings with their defaults. Durations are whole seconds. */
export type Settings = Omit<Values, keyof SignIn | keyof Domain> & {
  /** The issuer that signs people in; undefined if the stack creates a Cognito user pool. */
  readonly signIn: SignIn | undefined;
  /** The custom domain; undefined if the service uses API Gateway's own domain name. */
  readonly domain: Domain | undefined;
};

/** Provisioned capacity of the table, in units per second. */
export type Capacity = NonNullable<Settings['capacity']>;

/** The settings that make sense only together with `issuer`. */
const WITH_ISSUER = [
  'audience',
  'groupsClaim',
  'adminGroup',
  'adminScope',
  'consoleClientId',
  'consoleScopes',
  'consoleOrigins',
] as const satisfies readonly SettingName[];

/** The attributes of a user of the stack's own user pool that can be the person's name. */
const POOL_ATTRIBUTES = ['email', 'name', 'preferred_username'];

/** Returns the names of all settings, each with its description and default. */
export const describedSettings = () =>
  NAMES.map((name) => {
    const field = schema.shape[name];
    return {
      name,
      ...description(name),
      standard: field instanceof z.ZodDefault ? field.def.defaultValue : undefined,
    };
  });

const description = (name: SettingName) => descriptions.get(schema.shape[name]) as SettingDescription;

/** Returns the end of an error message. It shows how to pass a valid value for a setting. */
export const exampleOf = (name: SettingName) => `for example -c ${name}=${description(name).example}`;

const mustBe = (name: SettingName) => `${name} must be ${description(name).rule}, ${exampleOf(name)}.`;

/**
 * Returns a line for each fault in a setting: the fault's own message if there is one, and otherwise the setting's
 * rule.
 */
function faultsOf(name: SettingName, issues: readonly z.core.$ZodIssue[]): string[] {
  const own = issues.filter(({ path, message }) => path[0] === name && message.startsWith(`${name}[`));
  if (own.length > 0) return own.map(({ message }) => message);
  return [mustBe(name) + invalidParts(name, issues)];
}

/** Returns the names of the invalid parts of `deploymentsSource`, an object with several parts. */
function invalidParts(name: SettingName, issues: readonly z.core.$ZodIssue[]): string {
  if (name !== 'deploymentsSource') return '';
  const paths = issues
    .filter(({ path }) => path[0] === name)
    .flatMap((issue) => {
      const path = issue.path.slice(1);
      return issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...path, key]) : [path];
    })
    .filter((path) => path.length > 0);
  const names = [...new Set(paths.map((path) => path.join('.')))];
  return names.length === 0 ? '' : ` Wrong or missing in it: ${names.join(', ')}.`;
}

/** The context keys of the CDK and other libraries contain punctuation, so a plain word must be meant as a setting. */
const isSetting = (key: string) => /^\w+$/.test(key);

/** Returns an error message that names the setting that was probably meant, and lists all settings. */
function unknown(key: string): string {
  const meant = closestMatch(key, NAMES, { maxDistance: 3 });
  const suggestion = meant === undefined ? '' : ` Did you mean ${meant}?`;
  return `${key} is not a setting.${suggestion} The settings are ${NAMES.join(', ')}, ${exampleOf('stage')}.`;
}

/**
 * Validates settings, which can come from CDK context or from properties with the same names.
 *
 * @throws ConfigError with a line for each unknown or invalid setting
 */
export function readSettings(given: object): Settings {
  const faults = Object.keys(given)
    .filter((key) => isSetting(key) && !NAMES.includes(key as SettingName))
    .map(unknown);
  const { success, data, error } = schema.safeParse(given);
  if (!success) {
    const invalid = new Set(error.issues.map((issue) => issue.path[0] as SettingName));
    faults.push(...[...invalid].flatMap((name) => faultsOf(name, error.issues)));
  }
  if (!success || faults.length > 0) throw new ConfigError(faults.join('\n'));

  rejectShortLimits(data);
  const stray = WITH_ISSUER.filter((name) => name in given && given[name as never] !== undefined);
  if (data.issuer === undefined && stray.length > 0) {
    throw new ConfigError(`${stray.join(', ')} must come with issuer, ${exampleOf('issuer')}.`);
  }
  const { issuer, audience, groupsClaim, adminGroup, adminScope, ...others } = data;
  const { consoleClientId, consoleScopes, consoleOrigins, ...service } = others;
  const { domainName, certificateArn, webAclArn, ...rest } = service;
  const domain = domainOf(domainName, certificateArn, webAclArn);
  if (issuer === undefined && rest.nameClaim !== undefined && !POOL_ATTRIBUTES.includes(rest.nameClaim)) {
    throw new ConfigError(mustBe('nameClaim'));
  }
  if (issuer === undefined) return { ...rest, signIn: undefined, domain };
  if (audience === undefined) throw new ConfigError(mustBe('audience'));
  const console = { consoleClientId, consoleScopes, consoleOrigins };
  const people = { groupsClaim, adminGroup, adminScope };
  return { ...rest, signIn: { issuer, audience, ...people, ...console }, domain };
}

/** Rejects contradictory limits. @throws ConfigError if a limit is shorter than the time that it limits */
function rejectShortLimits({ tokenLifetime, slideInterval, maxTokenLifetime, maxIdleDays }: Values): void {
  if (maxTokenLifetime !== undefined && maxTokenLifetime < tokenLifetime) {
    throw new ConfigError(mustBe('maxTokenLifetime'));
  }
  // If `maxIdleDays` were shorter than the lifetime of a token, a key could become idle while one of its tokens is
  // still valid.
  if (maxIdleDays !== undefined && maxIdleDays * DAY_SECONDS < tokenLifetime + slideInterval) {
    throw new ConfigError(mustBe('maxIdleDays'));
  }
}

/**
 * Returns the custom domain. @throws ConfigError if one of the domain's settings is given without another setting that
 * it needs
 */
function domainOf(domainName?: string, certificateArn?: string, webAclArn?: string): Domain | undefined {
  if (domainName === undefined) {
    if (certificateArn !== undefined) throw new ConfigError(mustBe('certificateArn'));
    if (webAclArn !== undefined) throw new ConfigError(mustBe('webAclArn'));
    return undefined;
  }
  if (certificateArn === undefined) throw new ConfigError(mustBe('domainName'));
  const isForCloudFront = Token.isUnresolved(certificateArn) || certificateArn.includes(':us-east-1:');
  if (webAclArn !== undefined && !isForCloudFront) throw new ConfigError(mustBe('certificateArn'));
  return { domainName, certificateArn, webAclArn };
}
