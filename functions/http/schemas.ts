import * as z from 'zod/mini';
import {
  DESCRIPTION,
  GROUP,
  hasLength,
  MAX_GROUPS,
  NAME,
  PLAIN_TEXT,
  plainTextRule,
} from '../domain/allowed-characters.ts';
import { DEPLOYMENT_ID, parseKeyId, redactCredentials } from '../domain/credentials.ts';
import { type FieldError, invalidFields } from '../domain/errors.ts';
import { EVENT_TYPES } from '../domain/events.ts';
import type { EpochMillis } from '../domain/expiry.ts';
import { isNetwork, MAX_NETWORKS } from '../domain/networks.ts';
import { isSub, MAX_SUB_LENGTH } from '../domain/people.ts';
import { MAX_RETIRE_AFTER, RETIRE_AFTER } from '../domain/rotation.ts';
import { MAX_SCOPE_LENGTH, MAX_SCOPES, SCOPE } from '../domain/scopes.ts';
import { MAX_SUBJECT_TOKEN } from '../domain/subject-token.ts';
import {
  bindingOf,
  bindsTenant,
  findIssuer,
  isPrefix,
  MAX_CLAIMS,
  MAX_RULES,
  RESERVED_CLAIMS,
  type TrustedIssuer,
  type TrustRule,
} from '../domain/trust.ts';

// The OpenAPI document is also generated from these schemas, including patterns and lengths. If a refinement checks a
// rule that JSON Schema can express, `meta` repeats the rule.

/** Schema of text that matches a pattern. The length limits count characters, as in JSON Schema, not UTF-16 units. */
const textOf = (pattern: RegExp, rule: string, least: number, most: number) =>
  z.string(rule).check(
    z.regex(pattern, { error: rule, abort: true }),
    z.refine((it) => it.isWellFormed() && hasLength(it, least, most), rule),
    z.meta({ minLength: least, maxLength: most }),
  );

/** Schema of text without control characters. */
const text = (least: number, most: number) =>
  textOf(/^\P{Cc}*$/u, `must be ${least} to ${most} characters, without control characters`, least, most);

/** Schema of human-readable text: a name, a description or a group. */
const plainText = (least: number, most: number) =>
  textOf(PLAIN_TEXT, plainTextRule(least, most), least, most);

const groups = z
  .array(plainText(...GROUP), `must be an array of at most ${MAX_GROUPS} groups`)
  .check(z.maxLength(MAX_GROUPS));

/** PUT /deployments/{deploymentId} */
export const deploymentInput = z.strictObject({
  name: z.optional(plainText(...NAME)),
  groups: z.optional(groups),
});

const enabled = z.boolean('must be true or false');

/**
 * Schema of a key's expiry, which becomes epoch milliseconds.
 * @param now epoch milliseconds
 */
const expiresAt = (now: EpochMillis) => {
  const rule = 'must be an RFC 3339 time in the future, such as 2030-01-31T12:00:00Z';
  return z.pipe(
    z.iso.datetime({ offset: true, error: rule }),
    z.pipe(
      z.transform((it: string) => Date.parse(it)),
      z.number(rule).check(z.refine((it) => it > now, rule)),
    ),
  );
};

/**
 * Schema of the scopes that a key or token has.
 * @param known scopes that the stack defines
 */
const scopes = (known: readonly string[]) => {
  const rule = `must be an array of 1 to ${MAX_SCOPES} scopes`;
  const oneOfThem = `must be one of ${known.join(', ')}`;
  // The schema of a scope is not an enum, because each stack defines its own scopes, but the OpenAPI document is the
  // same for every stack.
  const scope = z.string(oneOfThem).check(
    z.regex(SCOPE, { error: oneOfThem, abort: true }),
    z.refine((it) => known.includes(it), oneOfThem),
    z.meta({ maxLength: MAX_SCOPE_LENGTH }),
  );
  return z.pipe(
    z.array(scope, rule).check(z.minLength(1, rule), z.maxLength(MAX_SCOPES, rule)),
    z.transform((it: string[]) => [...new Set(it)]),
  );
};

/** Schema of a key's allowed IP ranges. An empty array allows any address. */
const networks = (() => {
  const rule = `must be an array of at most ${MAX_NETWORKS} CIDR ranges`;
  const oneRule = 'must be a CIDR range such as 203.0.113.0/24 or 2001:db8::/32, without host bits';
  const one = z.string(oneRule).check(z.refine(isNetwork, oneRule));
  return z.array(one, rule).check(z.maxLength(MAX_NETWORKS, rule));
})();

/**
 * Rejects claim names that a rule cannot use. Without this check, a record schema would silently discard `__proto__`.
 */
const claimNames = z.transform((claims: unknown, context) => {
  const names = typeof claims === 'object' && claims !== null ? Object.keys(claims) : [];
  for (const name of names.filter((it) => RESERVED_CLAIMS.includes(it))) {
    context.issues.push({ code: 'custom', input: claims, message: `must not name the claim ${name}` });
  }
  return claims;
});

/**
 * Schema of a key's trust rules.
 * @param issuers issuers that the stack trusts
 */
const trust = (issuers: readonly TrustedIssuer[]) => {
  const issuerOf = ({ issuer }: TrustRule) => findIssuer(issuers, issuer) ?? issuer;
  const rule = `must be an array of 1 to ${MAX_RULES} rules`;
  const issuerRule = 'must be one that the stack trusts';
  const prefixRule = 'must be a text, or a prefix that ends in / or :';
  const prefix = z.strictObject({ prefix: text(2, 256).check(z.refine(isPrefix, prefixRule)) }, prefixRule);
  const claimsRule = `must be 1 to ${MAX_CLAIMS} claims, each a text or a prefix that ends in / or :`;
  const name = text(1, 100).check(z.meta({ not: { enum: [...RESERVED_CLAIMS] } }));
  const claims = z.pipe(
    claimNames,
    z
      .record(name, z.union([text(1, 256), prefix], prefixRule), claimsRule)
      .check(
        z.refine((it) => Object.keys(it).length >= 1 && Object.keys(it).length <= MAX_CLAIMS, claimsRule),
      ),
  );
  const one = z
    .strictObject(
      {
        issuer: z
          .string(issuerRule)
          .check(z.refine((it) => findIssuer(issuers, it) !== undefined, issuerRule)),
        audience: z.optional(text(1, 256)),
        claims,
        singleUse: z.optional(z.boolean('must be true or false')),
      },
      'must be an object with the fields issuer and claims',
    )
    .check(
      z.refine((rule: TrustRule) => bindsTenant(rule, issuerOf(rule)), {
        error: ({ input }) => bindingOf(issuerOf(input as TrustRule)),
        // Check whether the rule binds a tenant only if the rule has no other errors.
        when: ({ issues }) => issues.length === 0,
      }),
    );
  return z.array(one, rule).check(z.minLength(1, rule), z.maxLength(MAX_RULES, rule));
};

/** POST …/api-keys */
export const newKeyInput = (known: readonly string[], now: EpochMillis, issuers: readonly TrustedIssuer[]) =>
  z.strictObject({
    name: plainText(...NAME),
    description: z.optional(z.nullable(plainText(...DESCRIPTION))),
    scopes: z.optional(scopes(known)),
    expiresAt: z.optional(expiresAt(now)),
    networks: z.optional(networks),
    trust: z.optional(trust(issuers)),
  });

/** Body of PATCH …/api-keys/{keyId}. null clears a field. */
export const keyChangesInput = (
  known: readonly string[],
  now: EpochMillis,
  issuers: readonly TrustedIssuer[],
) =>
  z.strictObject({
    name: z.optional(plainText(...NAME)),
    description: z.optional(z.nullable(plainText(...DESCRIPTION))),
    scopes: z.optional(scopes(known)),
    enabled: z.optional(enabled),
    expiresAt: z.optional(z.nullable(expiresAt(now))),
    networks: z.optional(networks),
    trust: z.optional(trust(issuers)),
  });

/** POST …/api-keys/{keyId}/rotate */
export const rotationInput = (() => {
  const rule = `must be "on_first_use", "now", or whole seconds from 0 to ${MAX_RETIRE_AFTER}`;
  const seconds = z.int(rule).check(z.minimum(0, rule), z.maximum(MAX_RETIRE_AFTER, rule));
  return z.strictObject({
    retireOld: z._default(
      z.union([z.literal('on_first_use'), z.literal('now'), seconds], rule),
      RETIRE_AFTER,
    ),
  });
})();

/** POST …/api-keys/{keyId}/explain */
export const explainInput = (() => {
  const rule = `must be a JWT of 1 to ${MAX_SUBJECT_TOKEN} characters`;
  const token = z.string(rule).check(z.minLength(1, rule), z.maxLength(MAX_SUBJECT_TOKEN, rule));
  return z.strictObject({ subject_token: token });
})();

/** POST …/temporary-tokens */
export const newTemporaryTokenInput = (known: readonly string[]) =>
  z.strictObject({ scopes: z.optional(scopes(known)) });

/** Maximum size of the text in a leak report, in bytes. */
export const MAX_REPORT = 32 * 1024;

/** Body of POST /leaks. The text can be a log line or a whole file. */
export const leakInput = (() => {
  const rule = `must be 1 to ${MAX_REPORT} bytes of text in UTF-8`;
  const credential = z.string(rule).check(
    z.refine((it) => it !== '' && Buffer.byteLength(it) <= MAX_REPORT, rule),
    z.meta({ minLength: 1, maxLength: MAX_REPORT }),
  );
  return z.strictObject({ credential });
})();

/** Rule of the parameter `cursor`, worded to follow the field's name in an error message. */
export const CURSOR_RULE = 'must be the nextCursor of an earlier page of this listing';

/** Query parameters of a listing. */
export const pageInput = (() => {
  const rule = 'must be a whole number from 1 to 100';
  const digits = z
    .string()
    .check(
      z.regex(/^([1-9]\d?|100)$/, rule),
      z.meta({ type: 'integer', minimum: 1, maximum: 100, default: 100, pattern: undefined }),
    );
  return z.object({
    limit: z._default(z.pipe(digits, z.transform(Number)), 100),
    cursor: z.optional(z.string(CURSOR_RULE)),
  });
})();

/** Query parameters of a listing of Deployments. */
export const deploymentsInput = (() => {
  const rule =
    'must be the beginning of a Deployment ID: 1 to 64 characters out of A-Z a-z 0-9 _ -, the first a letter or digit';
  const prefix = z.string(rule).check(z.regex(new RegExp(`^${DEPLOYMENT_ID}$`), rule));
  return z.extend(pageInput, { prefix: z.optional(prefix) });
})();

/** Query parameters of a listing of keys. */
export const keysInput = z.extend(pageInput, {
  order: z._default(z.enum(['oldest', 'newest'], 'must be oldest or newest'), 'oldest'),
});

const sub = (() => {
  const rule = `must be 1 to ${MAX_SUB_LENGTH} printable ASCII characters`;
  const shape = { minLength: 1, maxLength: MAX_SUB_LENGTH, pattern: '^[ -~]+$' };
  return z.string(rule).check(z.refine(isSub, rule), z.meta(shape));
})();

/** POST /people/end-access */
export const endAccessInput = z.strictObject({
  sub,
  keys: z._default(z.enum(['report', 'disable'], 'must be "report" or "disable"'), 'report'),
  block: z._default(z.boolean('must be true or false'), false),
});

/** POST /people/restore-access */
export const restoreAccessInput = z.strictObject({ sub });

/** Body of POST /people/find. A `sub` is never sent in a URL, because other systems might log URLs. */
export const findPersonInput = z.strictObject({
  sub,
  limit: z._default(z.int('must be a whole number from 1 to 100').check(z.minimum(1), z.maximum(100)), 100),
  cursor: z.optional(z.string(CURSOR_RULE)),
});

/** Query parameters of a listing of events. */
export const eventsInput = (() => {
  const type = z.string().check(
    z.refine((it) => (EVENT_TYPES as readonly string[]).includes(it), 'must be the type of an event'),
    z.meta({ enum: [...EVENT_TYPES] }),
  );
  const keyId = z.string().check(z.refine((it) => parseKeyId(it) !== undefined, 'must be the ID of a key'));
  return z.extend(pageInput, { type: z.optional(type), keyId: z.optional(keyId) });
})();

/**
 * Maximum number of fields that an error names. Errors are logged, and a single request could violate thousands of
 * rules.
 */
export const MAX_NAMED = 20;

/**
 * Validates input against a schema.
 * @param whole name that errors use for the input if it is not an object
 * @returns the input, transformed by the schema
 * @throws ServiceError 400 that names the invalid fields, at most 20, and their rules
 */
export function parseInput<T>(schema: z.ZodMiniType<T>, input: unknown, whole = 'body'): T {
  const result = z.safeParse(schema, input, { reportInput: true });
  if (result.success) return result.data;
  throw invalidFields(result.error.issues.flatMap((issue) => fieldErrors(issue, whole)).slice(0, MAX_NAMED));
}

function fieldErrors(issue: z.core.$ZodIssue, whole: string): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    const rule = 'is not a field of this request';
    return issue.keys.map((key) => ({ field: pathOf([...issue.path, key]), rule }));
  }
  if (issue.path.length === 0) return [{ field: whole, rule: 'must be an object' }];
  const rule = issue.input === undefined ? `is required: ${issue.message}` : issue.message;
  return [{ field: pathOf(issue.path), rule }];
}

/**
 * Formats the path of a field, such as `trust[0].claims`. The path always starts with a name, because every input is an
 * object.
 */
function pathOf(steps: PropertyKey[]): string {
  const path = steps.map((step) => (typeof step === 'number' ? `[${step}]` : `.${shownName(String(step))}`));
  return path.join('').slice(1);
}

/** Maximum length of a name that an error repeats, in characters. The secret part of a credential is longer. */
const MAX_SHOWN = 40;

/** Returns a name chosen by the caller, with secrets removed, because errors are logged. */
export function shownName(name: string): string {
  if (name === '') return '(empty name)';
  return name.length > MAX_SHOWN ? `(name of ${name.length} characters)` : redactCredentials(name);
}
