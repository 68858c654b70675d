import type { Resource, Template } from '../template.ts';

/** One statement of an identity-based policy, as in the template. */
interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Action?: string | string[];
  readonly Resource?: string | string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | string[]>>>>;
}

/** The parts of a DynamoDB call that a condition can refer to: its partition keys and attributes. */
export interface Named {
  readonly leadingKeys?: readonly string[];
  readonly attributes?: readonly string[];
}

/** The condition keys that the emulator evaluates. */
const CONDITION_KEYS: Readonly<Record<string, keyof Named>> = {
  'dynamodb:LeadingKeys': 'leadingKeys',
  'dynamodb:Attributes': 'attributes',
};
const OPERATORS: Readonly<Record<string, (pattern: string, text: string) => boolean>> = {
  'ForAllValues:StringEquals': (pattern, text) => pattern === text,
  'ForAllValues:StringLike': (pattern, text) => matches(pattern, text),
};

/** Why a call is denied, worded as the end of AWS's error message. */
export type Refusal = 'no identity-based policy allows' | 'an explicit deny in an identity-based policy';

/**
 * AWS managed policies that the emulator accepts on a role. They do not allow any of the actions that the local AWS
 * proxy serves.
 */
const MANAGED_POLICIES = [
  ':iam::aws:policy/service-role/AWSLambdaBasicExecutionRole',
  ':iam::aws:policy/AWSXRayDaemonWriteAccess',
];

const list = (value: string | string[] | undefined) => (value === undefined ? [] : [value].flat());

/**
 * Returns whether a string matches an IAM pattern: `*` stands for any characters, `?` for one.
 *
 * @param flags flags of the regular expression: `i` ignores case, as in actions
 */
export function matches(pattern: string, text: string, flags = ''): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, `s${flags}`).test(text);
}

const speaksOf = (statement: Statement, action: string, resource: string) =>
  list(statement.Action).some((pattern) => matches(pattern, action, 'i')) &&
  list(statement.Resource).some((pattern) => matches(pattern, resource));

/**
 * Returns whether a call meets the statement's conditions. If the emulator does not know the keys or attributes of a
 * call, the call meets no condition. On AWS, such a call would meet a `ForAllValues` condition.
 */
function isMet({ Condition = {} }: Statement, named: Named): boolean {
  return Object.entries(Condition).every(([operator, keys]) =>
    Object.entries(keys).every(([key, allowed]) => {
      const values = named[CONDITION_KEYS[key] as keyof Named] ?? [];
      const isAllowed = (value: string) => list(allowed).some((it) => OPERATORS[operator]?.(it, value));
      return values.length > 0 && values.every(isAllowed);
    }),
  );
}

const isEvaluated = ({ Condition }: Statement) => {
  if (Condition === undefined) return true;
  const operators = Object.entries(Condition);
  return (
    operators.length > 0 &&
    operators.every(
      ([operator, keys]) => operator in OPERATORS && Object.keys(keys).every((key) => key in CONDITION_KEYS),
    )
  );
};

/** A role's permissions, from the policies in the template. */
export class Permissions {
  readonly #statements: readonly Statement[];
  readonly #found = new Map<string, readonly Statement[]>();

  /**
   * @throws Error if a statement has a part that the emulator does not evaluate, so that nothing is allowed by mistake
   */
  constructor(statements: readonly Statement[], owner: string) {
    for (const statement of statements) {
      const unknown = Object.keys(statement).filter(
        (part) =>
          !['Sid', 'Effect', 'Action', 'Resource', 'Condition'].includes(part) ||
          (part === 'Condition' && !isEvaluated(statement)),
      );
      if (unknown.length > 0) {
        throw new Error(`The local runner does not evaluate ${unknown.join(', ')} in a policy of ${owner}.`);
      }
    }
    this.#statements = statements;
  }

  /**
   * Decides whether the role is allowed to perform an action on a resource. Deny takes precedence over Allow.
   *
   * @param named the keys and attributes in a call to DynamoDB
   * @returns the reason why the call is denied, or undefined if it is allowed
   */
  refusal(action: string, resource: string, named: Named = {}): Refusal | undefined {
    const effects = this.#statementsOn(action, resource)
      .filter((statement) => isMet(statement, named))
      .map((statement) => statement.Effect);
    if (effects.includes('Deny')) return 'an explicit deny in an identity-based policy';
    return effects.includes('Allow') ? undefined : 'no identity-based policy allows';
  }

  #statementsOn(action: string, resource: string): readonly Statement[] {
    const question = `${action} ${resource}`;
    const found =
      this.#found.get(question) ??
      this.#statements.filter((statement) => speaksOf(statement, action, resource));
    this.#found.set(question, found);
    return found;
  }
}

/** Reads a role's permissions: its inline policies and the policies attached to it. */
export function permissionsOf(template: Template, role: Resource): Permissions {
  const { Policies = [], ManagedPolicyArns = [] } = template.properties<{
    Policies?: { PolicyDocument: { Statement: Statement[] } }[];
    ManagedPolicyArns?: string[];
  }>(role);
  const stray = ManagedPolicyArns.filter((arn) => !MANAGED_POLICIES.some((known) => arn.endsWith(known)));
  if (stray.length > 0)
    throw new Error(`The local runner does not know ${stray.join(', ')} of ${role.path}.`);

  const attached = template
    .ofType('AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy')
    .filter((policy) => policy.stack === role.stack)
    .map((policy) =>
      template.properties<{ Roles?: string[]; PolicyDocument: { Statement: Statement[] } }>(policy),
    )
    .filter((policy) => policy.Roles?.includes(template.ref(role)));
  const documents = [...Policies, ...attached].map((policy) => policy.PolicyDocument);
  return new Permissions(
    documents.flatMap((document) => document.Statement),
    role.path,
  );
}

/**
 * Checks that a function's resource-based policy lets an AWS service invoke it.
 *
 * @param service the service principal, such as `apigateway.amazonaws.com`
 * @throws Error if no AWS::Lambda::Permission allows it; on AWS the invocation would fail
 */
export function assertInvokable(
  template: Template,
  target: Resource,
  service: string,
  sourceArn: string,
): void {
  const names = [template.ref(target), template.attribute(target, 'Arn')];
  const isAllowed = template
    .ofType('AWS::Lambda::Permission')
    .map((permission) =>
      template.properties<{ FunctionName: string; Principal: string; SourceArn?: string }>(permission),
    )
    .filter(({ FunctionName, Principal }) => names.includes(FunctionName) && Principal === service)
    .some(({ SourceArn }) => SourceArn === undefined || matches(SourceArn, sourceArn));
  if (!isAllowed) throw new Error(`${service} may not invoke ${target.path} for ${sourceArn}.`);
}
