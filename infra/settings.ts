import { Token } from 'aws-cdk-lib';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { closestMatch } from 'leven';
import { z } from 'zod';
import type { DeploymentsSource } from '../functions/domain/deployments-source.ts';
import { isPrincipalArn } from '../functions/domain/principals.ts';
import { isScope, MAX_SCOPES } from '../functions/domain/scopes.ts';

/** Settings from which no stack can be synthesised. The message has one line for each wrong setting. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** The words about a setting. docs/settings.md and DeploymentKeysProps contain them: run `npm run settings` after a change. */
export interface SettingDescription {
  /** What the setting does, in Markdown, without a full stop at the end. Links are relative to docs/. */
  readonly description: string;
  /** What applies without the setting, if the schema has no default. */
  readonly absent?: string;
  /** Which values are valid, after "must be". */
  readonly rule: string;
  /** A valid value, as `-c` accepts it. */
  readonly example: string;
}

const descriptions = z.registry<SettingDescription>();

const DAY = 24 * 60 * 60;
const YEAR = 365 * DAY;

/** A whole number, from cdk.json or as a string from `-c`. Nothing else is converted. */
const whole = (from: number, to: number) => {
  const digits = z
    .string()
    .regex(/^\d{1,9}$/)
    .transform(Number);
  return z.union([z.number(), digits]).pipe(z.number().int().min(from).max(to));
};

/** A list of different words, from JSON or as one string from `-c`, separated by commas or spaces. */
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

/** A boolean, from cdk.json or as a string from `-c`. */
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);

/** Names with values, from JSON or as one string from `-c`: `name=value`, separated by commas. */
const pairs = z.union([
  z.record(z.string(), z.union([z.string(), z.number()]).transform(String)),
  z
    .string()
    .refine((text) => text.split(',').every((pair) => /^[^=]+=[^=]*$/.test(pair)))
    .transform((text) => text.split(',').map((pair) => pair.trim().split('=')))
    .refine((list) => new Set(list.map(([name]) => name)).size === list.length)
    .transform((list): Record<string, string> => Object.fromEntries(list)),
]);

/** A string of this form, or a CDK token, whose value is known only at deployment. */
const formed = (form: RegExp) => z.string().refine((text) => Token.isUnresolved(text) || form.test(text));

const arn = (service: string, rest: string) => formed(new RegExp(`^arn:aws[a-z-]*:${service}:${rest}$`));

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

/** Every object has these properties, so every row would seem to have such an attribute. A record also drops `__proto__`. */
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

/** An object, from cdk.json or as JSON from `-c`. */
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
      description:
        'The OIDC issuer with which people sign in, exactly as in the `iss` of its tokens. It must be reachable from the ' +
        'internet when the stack is deployed',
      absent: 'creates a Cognito user pool',
      rule: 'an https URL without query, fragment or credentials (http only for a loopback host)',
      example: 'https://login.example.com/realms/staff',
    }),
  audience: words(z.string().regex(/^[\x21-\x7e]{1,256}$/), 50)
    .optional()
    .register(descriptions, {
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
      description: "The claim of the access token that lists a person's groups",
      rule: 'the name of a claim, up to 128 printable characters without spaces',
      example: 'groups',
    }),
  adminGroup: z
    .string()
    .regex(/^(?! )\P{Cc}{1,128}(?<! )$/u)
    .optional()
    .register(descriptions, {
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
      description: 'The scope whose holders are administrators',
      absent: 'none',
      rule: 'one OAuth scope of up to 128 characters',
      example: 'deployments:admin',
    }),
  consoleClientId: z
    .string()
    .regex(/^[\x21-\x7e]{1,256}$/)
    .optional()
    .register(descriptions, {
      description:
        'The public client with which the console signs people in. With `issuer` but without this client, there is no console',
      absent: 'none',
      rule: 'an OAuth client ID of up to 256 printable characters without spaces',
      example: 'deployment-keys-console',
    }),
  consoleScopes: words(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/), 20)
    .refine((list) => list.includes('openid'))
    .optional()
    .register(descriptions, {
      description: 'The OAuth scopes that the console requests from the issuer',
      absent: '`openid,profile,email`',
      rule: '1 to 20 different OAuth scopes, between commas, openid among them',
      example: 'openid,email,deployment-keys/use',
    }),
  consoleOrigins: words(z.string().regex(/^https:\/\/[a-z0-9.-]+(:\d{1,5})?$/), 10)
    .optional()
    .register(descriptions, {
      description: "Origins of the issuer's endpoints, if they differ from the issuer's own origin",
      absent: 'none',
      rule: '1 to 10 different https origins in lower case, without a path, between commas',
      example: 'https://oauth2.example.com',
    }),
  console: flag.default(true).register(descriptions, {
    description: '`false` leaves out the console',
    rule: 'true or false',
    example: 'false',
  }),
  tokenLifetime: whole(1, YEAR)
    .default(24 * 60 * 60)
    .register(descriptions, {
      description: 'Seconds for which a token stays valid after its last use',
      rule: `whole seconds from 1 to ${YEAR}`,
      example: '86400',
    }),
  slideInterval: whole(0, 24 * 60 * 60)
    .default(300)
    .register(descriptions, {
      description:
        'Seconds by which the service may delay the extension of a token. A token may expire that much later. 0 is exact, and costs one write for each use',
      rule: 'whole seconds from 0 to 86400',
      example: '300',
    }),
  maxTokenLifetime: whole(1, 10 * YEAR)
    .optional()
    .register(descriptions, {
      description: 'Seconds after its issue at which a token expires, even if it is used',
      absent: 'no limit',
      rule: `whole seconds from tokenLifetime to ${10 * YEAR}`,
      example: '2592000',
    }),
  maxIdleDays: whole(1, 3650).optional().register(descriptions, {
    description:
      'Days without a use after which a key is rejected. Enabling or rotating the key starts the count again',
    absent: 'no limit',
    rule: 'whole days from 1 to 3650, as long as tokenLifetime and slideInterval together or longer',
    example: '90',
  }),
  trustedIssuers: z
    .union([z.literal('none').transform((): string[] => []), words(z.string().refine(isIssuer), 10)])
    .default(['https://token.actions.githubusercontent.com', 'https://gitlab.com'])
    .register(descriptions, {
      description: 'Issuers whose tokens a key can accept instead of a secret; `none` for no issuer',
      rule: 'none, or 1 to 10 different https URLs between commas (http only for a loopback host)',
      example: 'https://token.actions.githubusercontent.com',
    }),
  lastUsedFrom: z.enum(['full', 'truncated', 'off']).default('full').register(descriptions, {
    description:
      "How much of the address and client of a key's last use is recorded: `full`, `truncated` (the first 24 bits of an IPv4 address, 48 of IPv6), or `off`. The time of the last use is always recorded",
    rule: 'full, truncated or off',
    example: 'truncated',
  }),
  scopes: words(z.string().refine(isScope), MAX_SCOPES)
    .default(['code:deploy', 'airflow:read', 'airflow:write'])
    .register(descriptions, {
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
      description:
        "The domain name of the service. The metadata then contains this name as the issuer, and API Gateway's own endpoint is disabled. Point your DNS record to the output `DomainTarget`",
      absent: "API Gateway's own name",
      rule: 'a domain name in lower case, and come with certificateArn',
      example: 'keys.example.com',
    }),
  certificateArn: arn('acm', '[a-z0-9-]+:\\d{12}:certificate/[\\w-]+').optional().register(descriptions, {
    description:
      "ARN of the certificate of `domainName`, in the stack's Region, or in us-east-1 with `webAclArn`",
    absent: 'none; required with `domainName`',
    rule: 'the ARN of an ACM certificate, come with domainName, and be of us-east-1 where webAclArn is set',
    example: 'arn:aws:acm:us-east-1:111122223333:certificate/0e3f1a2b-0000-4000-8000-000000000000',
  }),
  webAclArn: arn('wafv2', 'us-east-1:\\d{12}:global/webacl/[\\w-]+/[\\w-]+')
    .optional()
    .register(descriptions, {
      description:
        'Adds a CloudFront distribution with this web ACL: first read [what it does](decisions/a-web-acl-by-cloudfront.md). `certificateArn` must then be in us-east-1',
      absent: 'none',
      rule: 'the ARN of a web ACL for CloudFront, and come with domainName',
      example: 'arn:aws:wafv2:us-east-1:111122223333:global/webacl/keys/0e3f1a2b-0000-4000-8000-000000000000',
    }),
  encryptionKey: kmsKey.optional().register(descriptions, {
    description:
      'ARN of the customer managed key that encrypts the table. Its key policy must allow this account to use it through DynamoDB',
    absent: 'the AWS managed key',
    rule: 'the ARN of a KMS key, not of an alias',
    example: 'arn:aws:kms:eu-west-1:111122223333:key/0e3f1a2b-0000-4000-8000-000000000000',
  }),
  permissionsBoundary: arn('iam', ':(\\d{12}|aws):policy/[\\w+=,.@/-]+').optional().register(descriptions, {
    description: 'ARN of the permissions boundary of every role',
    absent: 'none',
    rule: 'the ARN of an IAM policy',
    example: 'arn:aws:iam::111122223333:policy/boundary',
  }),
  authorizerConcurrency: concurrency.optional().register(descriptions, {
    description:
      '`reserved=200`: reserved for the authorizer, and its maximum. `provisioned=5`: environments kept warm, which cost money while idle; `AuthorizerFunctionArn` is then an alias. A [new account](first-deploy.md#1-check-the-account) may have too little concurrency for either',
    absent: 'the unreserved concurrency of the account',
    rule: 'reserved=N, provisioned=N or both between commas, N from 1 to 10000, provisioned no more than reserved',
    example: 'reserved=200,provisioned=5',
  }),
  alarmTopic: arn('sns', '[a-z0-9-]+:\\d{12}:[\\w-]+').optional().register(descriptions, {
    description: 'ARN of the SNS topic that every alarm notifies',
    absent: 'alarms notify no one',
    rule: 'the ARN of an SNS topic that is not FIFO',
    example: 'arn:aws:sns:eu-west-1:111122223333:on-call',
  }),
  logRetention: whole(1, 9998)
    .refine((days) => KEPT_DAYS.includes(days))
    .default(30)
    .register(descriptions, {
      description: 'Days for which logs are kept',
      rule: `days that CloudWatch Logs knows: ${KEPT_DAYS.join(', ')}`,
      example: '90',
    }),
  platformPrincipals: words(
    z.string().refine((text) => Token.isUnresolved(text) || isPrincipalArn(text)),
    20,
  )
    .optional()
    .register(descriptions, {
      description:
        "ARNs of IAM roles and users of the stack's account that manage Deployments and keys [under `/platform`](platform.md), as administrators",
      absent: 'none; the routes do not exist',
      rule: '1 to 20 different ARNs of IAM roles or users of up to 255 characters, between commas',
      example: 'arn:aws:iam::111122223333:role/platform',
    }),
  consumerAccounts: words(z.string().regex(/^\d{12}$/), 50)
    .optional()
    .register(descriptions, {
      description:
        "AWS accounts whose APIs may use the authorizer, at most 50. Each takes about 350 bytes of the function's policy, " +
        'which Lambda limits to 20 KB',
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
      description: 'Tags of every resource: `team=platform,cost-centre=4711`',
      absent: 'none',
      rule: 'at most 40 tags as name=value between commas, letters, digits, spaces and _.:/=+-@ in them',
      example: 'team=platform,cost-centre=4711',
    }),
  tracing: flag.default(false).register(descriptions, {
    description:
      'Traces the functions with X-Ray. A trace costs money. It shows where the time is spent; for everything else, the request IDs in the logs are enough',
    rule: 'true or false',
    example: 'true',
  }),
  deploymentsSource: deploymentsSource.optional().register(descriptions, {
    description:
      'JSON that describes a DynamoDB table of your own whose rows are Deployments. [The stack follows it](deployments-source.md)',
    absent: 'people register Deployments',
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

type Name = keyof typeof schema.shape;
const NAMES = Object.keys(schema.shape) as Name[];

/** What each setting accepts, in context and as a property of the construct. */
export type SettingInputs = z.input<typeof schema>;

type Values = z.output<typeof schema>;

/** The issuer that signs people in, and how the service reads its access tokens. */
export type SignIn = Required<Pick<Values, 'issuer' | 'audience' | 'groupsClaim'>> &
  Pick<Values, 'adminGroup' | 'adminScope' | 'consoleClientId' | 'consoleScopes' | 'consoleOrigins'>;

/** The domain name of the service. With a web ACL, a CloudFront distribution has this name. */
export type Domain = Required<Pick<Values, 'domainName' | 'certificateArn'>> & Pick<Values, 'webAclArn'>;

/** Valid settings with their defaults. Durations are whole seconds. */
export type Settings = Omit<Values, keyof SignIn | keyof Domain> & {
  /** Undefined: the stack creates a Cognito user pool. */
  readonly signIn: SignIn | undefined;
  /** Undefined: the service has API Gateway's own name. */
  readonly domain: Domain | undefined;
};

/** The settings that only make sense with `issuer`. */
const WITH_ISSUER = [
  'audience',
  'groupsClaim',
  'adminGroup',
  'adminScope',
  'consoleClientId',
  'consoleScopes',
  'consoleOrigins',
] as const satisfies readonly Name[];

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

const description = (name: Name) => descriptions.get(schema.shape[name]) as SettingDescription;

const example = (name: Name) => `for example -c ${name}=${description(name).example}`;

const mustBe = (name: Name) => `${name} must be ${description(name).rule}, ${example(name)}.`;

/** Names the invalid parts of `deploymentsSource`, the only setting that is an object of several parts. */
function invalidParts(name: Name, issues: readonly z.core.$ZodIssue[]): string {
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

/** Context keys of the CDK and of libraries contain punctuation. A plain word must be a setting. */
const isSetting = (key: string) => /^\w+$/.test(key);

/** Names the setting that was probably meant, and all settings. */
function unknown(key: string): string {
  const meant = closestMatch(key, NAMES, { maxDistance: 3 });
  const suggestion = meant === undefined ? '' : ` Did you mean ${meant}?`;
  return `${key} is not a setting.${suggestion} The settings are ${NAMES.join(', ')}, ${example('stage')}.`;
}

/**
 * Validates the settings, given as CDK context or as properties of the same names.
 *
 * @throws ConfigError with a line for each setting that is unknown or invalid
 */
export function readSettings(given: object): Settings {
  const faults = Object.keys(given)
    .filter((key) => isSetting(key) && !NAMES.includes(key as Name))
    .map(unknown);
  const { success, data, error } = schema.safeParse(given);
  if (!success) {
    const invalid = new Set(error.issues.map((issue) => issue.path[0] as Name));
    faults.push(...[...invalid].map((name) => mustBe(name) + invalidParts(name, error.issues)));
  }
  if (!success || faults.length > 0) throw new ConfigError(faults.join('\n'));

  rejectShortLimits(data);
  const stray = WITH_ISSUER.filter((name) => name in given && given[name as never] !== undefined);
  if (data.issuer === undefined && stray.length > 0) {
    throw new ConfigError(`${stray.join(', ')} must come with issuer, ${example('issuer')}.`);
  }
  const { issuer, audience, groupsClaim, adminGroup, adminScope, ...others } = data;
  const { consoleClientId, consoleScopes, consoleOrigins, ...service } = others;
  const { domainName, certificateArn, webAclArn, ...rest } = service;
  const domain = domainOf(domainName, certificateArn, webAclArn);
  if (issuer === undefined) return { ...rest, signIn: undefined, domain };
  if (audience === undefined) throw new ConfigError(mustBe('audience'));
  const console = { consoleClientId, consoleScopes, consoleOrigins };
  return { ...rest, signIn: { issuer, audience, groupsClaim, adminGroup, adminScope, ...console }, domain };
}

/** @throws ConfigError if a limit is shorter than what it limits */
function rejectShortLimits({ tokenLifetime, slideInterval, maxTokenLifetime, maxIdleDays }: Values): void {
  if (maxTokenLifetime !== undefined && maxTokenLifetime < tokenLifetime) {
    throw new ConfigError(mustBe('maxTokenLifetime'));
  }
  // Otherwise a key could be idle while one of its tokens is still valid.
  if (maxIdleDays !== undefined && maxIdleDays * DAY < tokenLifetime + slideInterval) {
    throw new ConfigError(mustBe('maxIdleDays'));
  }
}

/** @throws ConfigError if one of the settings lacks another that it needs */
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

/**
 * An HTTP API accepts only principals of its own account, so a principal of another account is a mistake.
 * @param account the stack's account, or a CDK token if it is not known at synthesis
 * @throws ConfigError
 */
export function rejectForeignPrincipals({ platformPrincipals = [] }: Settings, account: string): void {
  const isForeign = (arn: string) => !Token.isUnresolved(arn) && arn.split(':')[4] !== account;
  if (Token.isUnresolved(account) || !platformPrincipals.some(isForeign)) return;
  throw new ConfigError(
    `platformPrincipals must be of the stack's own account, for example -c platformPrincipals=arn:aws:iam::${account}:role/platform.`,
  );
}
