import { z } from 'zod';

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
  /** The scopes that exist. */
  readonly scopes: readonly string[];
  /** AWS accounts whose APIs may use the authorizer, besides the stack's own; absent: none. */
  readonly consumerAccounts?: readonly string[];
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

const YEAR = 365 * 24 * 60 * 60;

/** `-c` gives strings, cdk.json may give numbers: both are read, nothing else is coerced. */
const wholeSeconds = (from: number, to: number) => {
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

/** Each setting with its rule in words and an example, both as a refusal quotes them. */
const settings = z.object({
  stage: z
    .enum(['development', 'production'])
    .default('development')
    .meta({ rule: 'development or production', example: 'production' }),
  issuer: z.string().refine(isIssuer).optional().meta({
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
  tokenLifetime: wholeSeconds(1, YEAR)
    .default(24 * 60 * 60)
    .meta({ rule: `whole seconds from 1 to ${YEAR}`, example: '86400' }),
  slideInterval: wholeSeconds(0, 24 * 60 * 60)
    .default(300)
    .meta({ rule: 'whole seconds from 0 to 86400', example: '300' }),
  maxTokenLifetime: wholeSeconds(1, 10 * YEAR)
    .optional()
    .meta({ rule: `whole seconds from tokenLifetime to ${10 * YEAR}`, example: '2592000' }),
  scopes: words(
    z
      .string()
      .max(64)
      // requiredScopes has a meaning of its own for `any`.
      .regex(/^(?!deployment(:|$)|any$)[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)*$/),
    16,
  )
    .default(['code:deploy', 'airflow:read', 'airflow:write'])
    .meta({
      rule:
        '1 to 16 different scopes of up to 64 characters, lower-case words joined by colons, ' +
        'between commas, none with deployment as its first word and none of them any',
      example: 'code:deploy,airflow:read',
    }),
  consumerAccounts: words(z.string().regex(/^\d{12}$/), 50)
    .optional()
    .meta({
      rule: '1 to 50 different AWS account IDs of 12 digits, between commas',
      example: '111122223333,444455556666',
    }),
});

type Name = keyof typeof settings.shape;
const NAMES = Object.keys(settings.shape) as Name[];
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

const strayRefusal = (names: readonly Name[]) =>
  `${names.join(', ')} must come with issuer, ${example('issuer')}.`;

/** Context that the CDK and other libraries put there has punctuation in its keys; a bare word is meant for us. */
const isMeantForUs = (key: string) => /^\w+$/.test(key);

/**
 * Reads the stack's configuration from CDK context, all of it and once.
 *
 * @throws ConfigError
 */
export function readConfig(context: Readonly<Record<string, unknown>>): Config {
  const refusals = Object.keys(context)
    .filter((key) => isMeantForUs(key) && !NAMES.includes(key as Name))
    .map((key) => `${key} is unknown: the settings are ${NAMES.join(', ')}, ${example('stage')}.`);

  const parsed = settings.safeParse(context);
  if (!parsed.success) {
    const wrong = new Set(parsed.error.issues.map((issue) => issue.path[0] as Name));
    refusals.push(...[...wrong].map((name) => refusal(name)));
  }
  if (!parsed.success || refusals.length > 0) throw new ConfigError(refusals.join('\n'));

  const { issuer, audience, groupsClaim, adminGroup, adminScope, ...others } = parsed.data;
  const { consoleClientId, consoleScopes, consoleOrigins, ...rest } = others;
  const isCapTooShort = rest.maxTokenLifetime !== undefined && rest.maxTokenLifetime < rest.tokenLifetime;
  if (isCapTooShort) throw new ConfigError(refusal('maxTokenLifetime'));
  if (issuer === undefined) {
    const stray = OF_AN_ISSUER.filter((name) => parsed.data[name] !== undefined);
    if (stray.length > 0) throw new ConfigError(strayRefusal(stray));
    return rest;
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
  return { ...rest, signIn };
}
