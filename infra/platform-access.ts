import { Stack, Token } from 'aws-cdk-lib';
import type { IGrantable } from 'aws-cdk-lib/aws-iam';
import type { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import type { Api, Limits, Route } from './api.ts';
import { rejectLargeEnvironment, rejectUndeployable } from './deployable.ts';
import type { ServiceFunction } from './function.ts';
import { publish } from './published-parameters.ts';
import { readSettings, type Settings } from './settings.ts';

export interface PlatformAccessProps {
  readonly settings: Settings;
  readonly api: Api;
  /** The management calls, without the prefix /platform. */
  readonly routes: ReadonlyMap<Route, ServiceFunction>;
  /** The routes that have their own limit. */
  readonly limits: Limits;
}

/**
 * The access of IAM principals: the routes under /platform, and the list of principals that the functions accept. The
 * routes do not exist while the list is empty.
 */
export class PlatformAccess extends Construct {
  readonly #props: PlatformAccessProps;
  #principals: readonly string[];

  constructor(scope: Construct, id: string, props: PlatformAccessProps) {
    super(scope, id);
    this.#props = props;
    this.#principals = props.settings.platformPrincipals ?? [];
    if (this.isOpen) this.#open();
  }

  /** Whether the routes under /platform exist. */
  get isOpen(): boolean {
    return this.#principals.length > 0;
  }

  /**
   * Adds a role or user to the list.
   *
   * @throws Error if it is not a role or user, or belongs to another stack
   * @throws ConfigError if the list breaks the rule of `platformPrincipals`
   */
  add(grantee: IGrantable): void {
    const arn = this.#arnOf(grantee);
    if (this.#principals.includes(arn)) return;
    const { settings } = this.#props;
    const { platformPrincipals = [] } = readSettings({ platformPrincipals: [...this.#principals, arn] });
    rejectUndeployable({ ...settings, platformPrincipals }, Stack.of(this));
    const wasOpen = this.isOpen;
    this.#principals = platformPrincipals;
    if (!wasOpen) this.#open();
    for (const one of new Set(this.#props.routes.values())) this.#configure(one);
  }

  #arnOf({ grantPrincipal: principal }: IGrantable): string {
    const { roleArn, userArn } = principal as { roleArn?: string; userArn?: string };
    const arn = roleArn ?? userArn;
    if (arn === undefined) {
      throw new Error('grantManage needs an IAM role or user, because /platform accepts no other principal.');
    }
    // Reject a principal in another stack: the service refers to the principal, and the principal's policy refers to
    // the service, so the two stacks would depend on each other.
    if (
      Token.isUnresolved(arn) &&
      Construct.isConstruct(principal) &&
      Stack.of(principal) !== Stack.of(this)
    ) {
      throw new Error(
        `${principal.node.path} belongs to another stack, and the two stacks would need each other. Create it in the stack ` +
          'of DeploymentKeys, or give it a name and pass Role.fromRoleArn or User.fromUserArn with its ARN as text.',
      );
    }
    return arn;
  }

  #open(): void {
    const { api, routes, limits } = this.#props;
    api.forPlatform(routes, limits);
    publish(this, 'Url', 'platform-url', api.platformUrl);
    publish(this, 'Arn', 'platform-arn', api.stageArn);
  }

  #configure(target: ServiceFunction): void {
    target.addEnvironment({ [ENV.platformPrincipals]: this.#principals.join(' ') });
    const { environment } = target.function.node.defaultChild as CfnFunction;
    rejectLargeEnvironment(target.node.id, Stack.of(this).resolve(environment).variables);
  }
}
