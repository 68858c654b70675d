import { Token } from 'aws-cdk-lib';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { z } from 'zod';
import type { DeploymentsSource } from '../functions/domain/deployments-source.ts';
import type { LastUsedFrom } from '../functions/domain/last-use.ts';
import { isPrincipalArn } from '../functions/domain/principals.ts';
import { isScope, MAX_SCOPES } from '../functions/domain/scopes.ts';

/** Context from which no stack can be made: a sentence a line for each value that is wrong. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** What the stack is told from outside, validated. Durations are whole seconds. */
export interface Config {
  /** `production` keeps the data when the stack is destroyed. */
  readonly stage: 'development' | 'production';
  /** The OIDC issuer that signs people in; absent: the stack makes a Cognito user pool. */
  readonly signIn?: SignIn;
  /** How long access is valid from a use. */
  readonly tokenLifetime: number;
  /** How long a slide may be put off. */
  readonly slideInterval: number;
  /** When a token ends whatever its use, counted from its issue; absent: never. */
  readonly maxTokenLifetime?: number;
  /** Days without a use after which a key is refused; absent: never. */
  readonly maxIdleDays?: number;
  /** Issuers whose tokens can open a key in place of a secret. */
  readonly trustedIssuers: readonly string[];
  /** How much is kept of where a key was used from. */
  readonly lastUsedFrom: LastUsedFrom;
  /** The scopes that exist. */
  readonly scopes: readonly string[];
  /** ARNs of the IAM roles and users that manage under /platform; absent: there is no such route. */
  readonly platformPrincipals?: readonly string[];
  /** AWS accounts whose APIs may use the authorizer, besides the stack's own; absent: none. */
  readonly consumerAccounts?: readonly string[];
  /** Whether there is a page for people. */
  readonly console: boolean;
  /** The name under which the service answers; absent: API Gateway's own. */
  readonly domain?: Domain;
  /** ARN of the customer managed key that encrypts the table; absent: the AWS managed key. */
  readonly encryptionKey?: string;
  /** ARN of the policy that bounds every role; absent: none. */
  readonly permissionsBoundary?: string;
  /** How many checks may run at once; absent: what the account has left. */
  readonly authorizerConcurrency?: Concurrency;
  /** ARN of the SNS topic that every alarm tells; absent: alarms tell nobody. */
  readonly alarmTopic?: string;
  /** Days that logs are kept. */
  readonly logRetention: number;
  /** Tags of every resource that can have some. */
  readonly tags: Readonly<Record<string, string>>;
  /** Whether X-Ray traces the functions. */
  readonly tracing: boolean;
  /** The table that Deployments come from; absent: people alone register them. */
  readonly deploymentsSource?: DeploymentsSource;
}

/** A name of one's own in front of the service. */
export interface Domain {
  readonly name: string;
  /** ARN of its certificate, in the stack's Region, or in us-east-1 where there is a web ACL. */
  readonly certificateArn: string;
  /** ARN of the web ACL of a CloudFront distribution in front; absent: there is neither. */
  readonly webAclArn?: string;
}

/** Concurrency of the authorizer. */
export interface Concurrency {
  /** Kept from other functions, and never exceeded. */
  readonly reserved?: number;
  /** Environments that are kept warm. */
  readonly provisioned?: number;
}

/** Who issues access tokens to people, and how the service reads them. */
export interface SignIn {
  /** Exactly as the tokens' `iss` has it. */
  readonly issuer: string;
  /** Accepted values of `aud` (or of `client_id`, where a token has no `aud`). */
  readonly audience: readonly string[];
  /** Claim of the access token that lists a person's groups. */
  readonly groupsClaim: string;
  /** Group whose members are administrators; absent: nobody is one by group. */
  readonly adminGroup?: string;
  /** Scope whose holders are administrators; absent: nobody is one by scope. */
  readonly adminScope?: string;
  /** The public client with which the console signs people in; absent: the issuer has none for it. */
  readonly consoleClientId?: string;
  /** OAuth scopes that the console asks of the issuer; absent: `openid profile email`. */
  readonly consoleScopes?: readonly string[];
  /** Where the console finds the issuer's endpoints, beside the issuer's own origin; absent: nowhere else. */
  readonly consoleOrigins?: readonly string[];
}

const DAY = 24 * 60 * 60;
const YEAR = 365 * DAY;

/** `-c` gives strings, cdk.json may give numbers: both are read, nothing else is coerced. */
const whole = (from: number, to: number) => {
  const digits = z
    .string()
    .regex(/^\d{1,9}$/)
    .transform(Number);
  return z.union([z.number(), digits]).pipe(z.number().int().min(from).max(to));
};

/** A list as JSON has it, or as `-c` can carry it: words between commas or spaces. */
const words = (word: z.ZodString, most: number) =>
  z
    .union([z.array(z.string()), z.string().transform((text) => text.split(/[\s,]+/))])
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

/** `-c` gives strings, cdk.json may give booleans. */
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);

/** Names and values as JSON has them, or as `-c` can carry them: `name=value` between commas. */
const pairs = z.union([
  z.record(z.string(), z.union([z.string(), z.number()]).transform(String)),
  z
    .string()
    .refine((text) => text.split(',').every((pair) => /^[^=]+=[^=]*$/.test(pair)))
    .transform((text) => text.split(',').map((pair) => pair.trim().split('=')))
    .refine((list) => new Set(list.map(([name]) => name)).size === list.length)
    .transform((list): Record<string, string> => Object.fromEntries(list)),
]);

/** Text of this form, or what the CDK will only know when it deploys. */
const formed = (form: RegExp) => z.string().refine((text) => Token.isUnresolved(text) || form.test(text));

const arn = (service: string, rest: string) => formed(new RegExp(`^arn:aws[a-z-]*:${service}:${rest}$`));

const KEPT_DAYS = Object.values(RetentionDays).filter((it) => typeof it === 'number' && it < 9999);

const concurrency = z.preprocess(
  (given) => (typeof given === 'string' ? pairs.safeParse(given).data : given),
  z
    .strictObject({
      reserved: whole(1, 10_000).optional(),
      provisioned: whole(1, 10_000).optional(),
    })
    .refine(({ reserved, provisioned }) => reserved !== undefined || provisioned !== undefined)
    .refine(({ reserved, provisioned }) => (provisioned ?? 0) <= (reserved ?? Number.POSITIVE_INFINITY)),
);

/** Every object has properties of these names: a row would seem to have such an attribute, and a record drops `__proto__`. */
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

/** An object as cdk.json has it, or as JSON, which is how `-c` can carry it. */
const deploymentsSource = z.preprocess(
  (given) => (typeof given === 'string' ? fromJson(given) : given),
  z
    .strictObject({
      table: arn('dynamodb', tableArn),
      stream: arn('dynamodb', `${tableArn}/stream/[\\w:.-]+`),
      id: attribute,
      name: attribute.optional(),
      groups: attribute.optional(),
      where: condition.optional(),
      deleted: condition.optional(),
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

/** Each setting with its rule in words and an example, both as a refusal quotes them. */
const settings = z.object({
  stage: z
    .enum(['development', 'production'])
    .default('development')
    .meta({ rule: 'development or production', example: 'production' }),
  issuer: z
    .string()
    .refine((text) => Token.isUnresolved(text) || isIssuer(text))
    .optional()
    .meta({
      rule: 'an https URL without query, fragment or credentials (http for a loopback host alone)',
      example: 'https://login.example.com/realms/staff',
    }),
  audience: words(z.string().regex(/^[\x21-\x7e]{1,256}$/), 50)
    .optional()
    .meta({
      rule: '1 to 50 different words of up to 256 printable characters, between commas',
      example: 'deployment-keys,platform-cli',
    }),
  groupsClaim: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/)
    .optional()
    .meta({
      rule: 'the name of a claim, up to 128 printable characters without spaces',
      example: 'groups',
    }),
  adminGroup: z
    .string()
    .regex(/^(?! )\P{Cc}{1,128}(?<! )$/u)
    .optional()
    .meta({
      rule: 'the name of a group, up to 128 characters, without control characters and outer spaces',
      example: 'platform-admins',
    }),
  adminScope: z
    .string()
    .regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/)
    .optional()
    .meta({ rule: 'one OAuth scope of up to 128 characters', example: 'deployments:admin' }),
  consoleClientId: z
    .string()
    .regex(/^[\x21-\x7e]{1,256}$/)
    .optional()
    .meta({
      rule: 'an OAuth client ID of up to 256 printable characters without spaces',
      example: 'deployment-keys-console',
    }),
  consoleScopes: words(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/), 20)
    .refine((list) => list.includes('openid'))
    .optional()
    .meta({
      rule: '1 to 20 different OAuth scopes, between commas, openid among them',
      example: 'openid,email,deployment-keys/use',
    }),
  consoleOrigins: words(z.string().regex(/^https:\/\/[a-z0-9.-]+(:\d{1,5})?$/), 10)
    .optional()
    .meta({
      rule: '1 to 10 different https origins in lower case, without a path, between commas',
      example: 'https://oauth2.example.com',
    }),
  tokenLifetime: whole(1, YEAR)
    .default(24 * 60 * 60)
    .meta({ rule: `whole seconds from 1 to ${YEAR}`, example: '86400' }),
  slideInterval: whole(0, 24 * 60 * 60)
    .default(300)
    .meta({ rule: 'whole seconds from 0 to 86400', example: '300' }),
  maxTokenLifetime: whole(1, 10 * YEAR)
    .optional()
    .meta({ rule: `whole seconds from tokenLifetime to ${10 * YEAR}`, example: '2592000' }),
  maxIdleDays: whole(1, 3650).optional().meta({
    rule: 'whole days from 1 to 3650, as long as tokenLifetime and slideInterval together or longer',
    example: '90',
  }),
  trustedIssuers: z
    .union([z.literal('none').transform((): string[] => []), words(z.string().refine(isIssuer), 10)])
    .default(['https://token.actions.githubusercontent.com', 'https://gitlab.com'])
    .meta({
      rule: 'none, or 1 to 10 different https URLs between commas (http for a loopback host alone)',
      example: 'https://token.actions.githubusercontent.com',
    }),
  lastUsedFrom: z
    .enum(['full', 'truncated', 'off'])
    .default('full')
    .meta({ rule: 'full, truncated or off', example: 'truncated' }),
  scopes: words(z.string().refine(isScope), MAX_SCOPES)
    .default(['code:deploy', 'airflow:read', 'airflow:write'])
    .meta({
      rule:
        '1 to 16 different scopes of up to 64 characters, lower-case words joined by colons, ' +
        'between commas, none with deployment as its first word and none of them any',
      example: 'code:deploy,airflow:read',
    }),
  platformPrincipals: words(
    z.string().refine((text) => Token.isUnresolved(text) || isPrincipalArn(text)),
    20,
  )
    .optional()
    .meta({
      rule: '1 to 20 different ARNs of IAM roles or users of up to 255 characters, between commas',
      example: 'arn:aws:iam::111122223333:role/platform',
    }),
  consumerAccounts: words(z.string().regex(/^\d{12}$/), 50)
    .optional()
    .meta({
      rule: '1 to 50 different AWS account IDs of 12 digits, between commas',
      example: '111122223333,444455556666',
    }),
  console: flag.default(true).meta({ rule: 'true or false', example: 'false' }),
  domainName: z
    .string()
    .regex(/^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/)
    .optional()
    .meta({
      rule: 'a domain name in lower case, and come with certificateArn',
      example: 'keys.example.com',
    }),
  certificateArn: arn('acm', '[a-z0-9-]+:\\d{12}:certificate/[\\w-]+').optional().meta({
    rule: 'the ARN of an ACM certificate, come with domainName, and be of us-east-1 where webAclArn is set',
    example: 'arn:aws:acm:us-east-1:111122223333:certificate/0e3f1a2b-0000-4000-8000-000000000000',
  }),
  webAclArn: arn('wafv2', 'us-east-1:\\d{12}:global/webacl/[\\w-]+/[\\w-]+').optional().meta({
    rule: 'the ARN of a web ACL for CloudFront, and come with domainName',
    example: 'arn:aws:wafv2:us-east-1:111122223333:global/webacl/keys/0e3f1a2b-0000-4000-8000-000000000000',
  }),
  encryptionKey: kmsKey.optional().meta({
    rule: 'the ARN of a KMS key, not of an alias',
    example: 'arn:aws:kms:eu-west-1:111122223333:key/0e3f1a2b-0000-4000-8000-000000000000',
  }),
  permissionsBoundary: arn('iam', ':(\\d{12}|aws):policy/[\\w+=,.@/-]+')
    .optional()
    .meta({ rule: 'the ARN of an IAM policy', example: 'arn:aws:iam::111122223333:policy/boundary' }),
  authorizerConcurrency: concurrency.optional().meta({
    rule: 'reserved=N, provisioned=N or both between commas, N from 1 to 10000, provisioned no more than reserved',
    example: 'reserved=200,provisioned=5',
  }),
  alarmTopic: arn('sns', '[a-z0-9-]+:\\d{12}:[\\w-]+').optional().meta({
    rule: 'the ARN of an SNS topic that is not FIFO',
    example: 'arn:aws:sns:eu-west-1:111122223333:on-call',
  }),
  logRetention: whole(1, 9998)
    .refine((days) => KEPT_DAYS.includes(days))
    .default(30)
    .meta({ rule: `days that CloudWatch Logs knows: ${KEPT_DAYS.join(', ')}`, example: '90' }),
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
    .meta({
      rule: 'at most 40 tags as name=value between commas, letters, digits, spaces and _.:/=+-@ in them',
      example: 'team=platform,cost-centre=4711',
    }),
  tracing: flag.default(false).meta({ rule: 'true or false', example: 'true' }),
  deploymentsSource: deploymentsSource.optional().meta({
    rule:
      'JSON with table and stream, the ARNs of a DynamoDB table and its stream, and id, the name of an attribute; ' +
      'it may have the attributes name and groups, the conditions where and deleted (1 to 10 attributes, each with a ' +
      'value, a list of values or {"exists":true}), and encryptionKey, the ARN of a KMS key',
    example:
      '\'{"table":"arn:aws:dynamodb:eu-west-1:111122223333:table/platform",' +
      '"stream":"arn:aws:dynamodb:eu-west-1:111122223333:table/platform/stream/2026-01-01T00:00:00.000",' +
      '"id":"deploymentId","where":{"type":"deployment"},"deleted":{"status":["deleted"]}}\'',
  }),
});

type Name = keyof typeof settings.shape;
const NAMES = Object.keys(settings.shape) as Name[];
/** The names of all settings. */
export const SETTINGS: readonly string[] = NAMES;
const OF_AN_ISSUER = [
  'audience',
  'groupsClaim',
  'adminGroup',
  'adminScope',
  'consoleClientId',
  'consoleScopes',
  'consoleOrigins',
] as const;

const rule = (name: Name) => settings.shape[name].meta()?.rule;
const example = (name: Name) => `for example -c ${name}=${settings.shape[name].meta()?.example}`;

const refusal = (name: Name) => `${name} must be ${rule(name)}, ${example(name)}.`;

/** Names the parts that are wrong, of a setting that has parts with names. */
function whereIn(name: Name, issues: readonly z.core.$ZodIssue[]): string {
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

const strayRefusal = (names: readonly Name[]) =>
  `${names.join(', ')} must come with issuer, ${example('issuer')}.`;

/** Context that the CDK and other libraries put there has punctuation in its keys; a bare word is meant for us. */
const isMeantForUs = (key: string) => /^\w+$/.test(key);

/**
 * Reads the configuration from CDK context or from properties of the same names, all of it and once.
 *
 * @throws ConfigError
 */
export function readConfig(context: object): Config {
  const refusals = Object.keys(context)
    .filter((key) => isMeantForUs(key) && !NAMES.includes(key as Name))
    .map((key) => `${key} is unknown: the settings are ${NAMES.join(', ')}, ${example('stage')}.`);

  const parsed = settings.safeParse(context);
  if (!parsed.success) {
    const wrong = new Set(parsed.error.issues.map((issue) => issue.path[0] as Name));
    refusals.push(...[...wrong].map((name) => refusal(name) + whereIn(name, parsed.error.issues)));
  }
  if (!parsed.success || refusals.length > 0) throw new ConfigError(refusals.join('\n'));

  const { issuer, audience, groupsClaim, adminGroup, adminScope, ...others } = parsed.data;
  const { consoleClientId, consoleScopes, consoleOrigins, ...operation } = others;
  const { domainName, certificateArn, webAclArn, ...rest } = operation;
  const isCapTooShort = rest.maxTokenLifetime !== undefined && rest.maxTokenLifetime < rest.tokenLifetime;
  if (isCapTooShort) throw new ConfigError(refusal('maxTokenLifetime'));
  // Shorter, and a key could be idle while a token of it lives.
  const isIdleTooSoon =
    rest.maxIdleDays !== undefined && rest.maxIdleDays * DAY < rest.tokenLifetime + rest.slideInterval;
  if (isIdleTooSoon) throw new ConfigError(refusal('maxIdleDays'));
  const config = { ...rest, domain: domainOf(domainName, certificateArn, webAclArn) };
  if (issuer === undefined) {
    const stray = OF_AN_ISSUER.filter((name) => parsed.data[name] !== undefined);
    if (stray.length > 0) throw new ConfigError(strayRefusal(stray));
    return config;
  }
  if (audience === undefined) throw new ConfigError(refusal('audience'));
  const signIn = {
    issuer,
    audience,
    groupsClaim: groupsClaim ?? 'groups',
    adminGroup,
    adminScope,
    consoleClientId,
    consoleScopes,
    consoleOrigins,
  };
  return { ...config, signIn };
}

/**
 * An HTTP API lets in principals of its own account alone, so one of another account is a mistake.
 * @param account of the stack, where it is known when the template is made
 * @throws ConfigError
 */
export function refuseForeignPrincipals({ platformPrincipals = [] }: Config, account: string): void {
  const isForeign = (arn: string) => !Token.isUnresolved(arn) && arn.split(':')[4] !== account;
  if (Token.isUnresolved(account) || !platformPrincipals.some(isForeign)) return;
  throw new ConfigError(
    `platformPrincipals must be of the stack's own account, for example -c platformPrincipals=arn:aws:iam::${account}:role/platform.`,
  );
}

/** @throws ConfigError for what comes without what belongs to it */
function domainOf(name?: string, certificateArn?: string, webAclArn?: string): Domain | undefined {
  if (name === undefined) {
    if (certificateArn !== undefined) throw new ConfigError(refusal('certificateArn'));
    if (webAclArn !== undefined) throw new ConfigError(refusal('webAclArn'));
    return undefined;
  }
  if (certificateArn === undefined) throw new ConfigError(refusal('domainName'));
  const isForCloudFront = Token.isUnresolved(certificateArn) || certificateArn.includes(':us-east-1:');
  if (webAclArn !== undefined && !isForCloudFront) throw new ConfigError(refusal('certificateArn'));
  return { name, certificateArn, webAclArn };
}
