import { matches } from './iam.ts';

/** One statement of a policy that an authorizer returns. */
interface Statement {
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource: string | string[];
}

const KNOWN_PARTS = ['Sid', 'Effect', 'Action', 'Resource'];
/** API Gateway's limit for the ARN of a resource in a policy, in characters. */
const MAX_RESOURCE = 512;

/**
 * Evaluates an authorizer's policy for one call, as API Gateway does: Deny takes precedence over Allow, and
 * everything else is denied.
 *
 * @returns undefined if API Gateway would not accept the policy, or if it has parts that the emulator does not evaluate
 */
export function evaluate(
  policyDocument: unknown,
  arn: string,
): 'allowed' | 'denied' | 'not allowed' | undefined {
  const { Statement: statements } = Object(policyDocument) as { Statement?: unknown };
  if (!Array.isArray(statements) || !statements.every(isStatement)) return undefined;
  const effects = statements
    .filter(
      ({ Action, Resource }) =>
        [Action].flat().some((action) => matches(action, 'execute-api:Invoke', 'i')) &&
        [Resource].flat().some((resource) => matches(resource, arn)),
    )
    .map((statement) => statement.Effect);
  if (effects.includes('Deny')) return 'denied';
  return effects.includes('Allow') ? 'allowed' : 'not allowed';
}

function isStatement(value: unknown): value is Statement {
  const { Effect, Action, Resource, ...rest } = Object(value) as Record<string, unknown>;
  const isText = (it: unknown) => typeof it === 'string' && it.length <= MAX_RESOURCE;
  return (
    (Effect === 'Allow' || Effect === 'Deny') &&
    [Action].flat().every(isText) &&
    [Resource].flat().every(isText) &&
    Object.keys(rest).every((part) => KNOWN_PARTS.includes(part))
  );
}
