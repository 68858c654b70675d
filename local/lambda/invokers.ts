import { assertInvokable, permissionsOf } from '../aws/iam.ts';
import type { Template } from '../template.ts';
import type { InvocationResult, LocalFunction } from './worker-pool.ts';

/** Invokes a function with an event. */
export type Invoke = (event: object) => Promise<InvocationResult>;

const GATEWAY = 'apigateway.amazonaws.com';

/** Gives API Gateway access to functions, but only as far as the template permits. */
export class Invokers {
  readonly #template: Template;
  readonly #functionOf: (arn: string) => LocalFunction;

  constructor(template: Template, functionOf: (arn: string) => LocalFunction) {
    this.#template = template;
    this.#functionOf = functionOf;
  }

  /**
   * Returns an invoker that relies on the function's own permission for API Gateway.
   * @throws Error if the function or the permission does not exist
   */
  byPermission(functionArn: string, sourceArn: string): Invoke {
    const resource = this.#template.find(functionArn, 'AWS::Lambda::Function');
    if (!resource) throw new Error(`${sourceArn} wants ${functionArn}, which no stack has.`);
    assertInvokable(this.#template, resource, GATEWAY, sourceArn);
    const { pool } = this.#functionOf(functionArn);
    return (event) => pool.invoke(event);
  }

  /**
   * Returns an invoker that relies on a role that API Gateway can assume and that is allowed to invoke the function.
   * @throws Error if API Gateway cannot assume the role, or if the role is not allowed to invoke the function
   */
  byRole(functionArn: string, roleArn: string): Invoke {
    const role = this.#template.find(roleArn, 'AWS::IAM::Role');
    if (!role) throw new Error(`${roleArn} is a role that no stack has.`);
    const { AssumeRolePolicyDocument: trust } = this.#template.properties<{
      AssumeRolePolicyDocument: {
        Statement: { Effect: string; Principal?: { Service?: string | string[] } }[];
      };
    }>(role);
    const isTrusted = trust.Statement.some(
      ({ Effect, Principal }) => Effect === 'Allow' && [Principal?.Service].flat().includes(GATEWAY),
    );
    if (!isTrusted) throw new Error(`${role.path} does not let ${GATEWAY} assume it.`);
    const refusal = permissionsOf(this.#template, role).refusal('lambda:InvokeFunction', functionArn);
    if (refusal) throw new Error(`${role.path} may not invoke ${functionArn}: ${refusal} it.`);
    const { pool } = this.#functionOf(functionArn);
    return (event) => pool.invoke(event);
  }

  /**
   * Returns an invoker for an authorizer's function. It uses the authorizer's role if there is one, and otherwise the
   * function's permission.
   */
  ofAuthorizer(uri: string | undefined, roleArn: string | undefined, sourceArn: string): Invoke {
    const functionArn = functionOfUri(uri);
    return roleArn ? this.byRole(functionArn, roleArn) : this.byPermission(functionArn, sourceArn);
  }
}

/** Returns the function's ARN from an API Gateway invocation URI, or '' if the URI does not contain an ARN. */
export const functionOfUri = (uri = ''): string =>
  /functions\/(arn:[^/]+)\/invocations$/.exec(uri)?.[1] ?? '';
