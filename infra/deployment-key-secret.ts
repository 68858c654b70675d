import { CustomResource, Duration, Fn, Stack, Token } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { ServiceFunction } from './function.ts';

export interface DeploymentKeySecretProps {
  /** The service's output `PlatformUrl`. The service is of the same account. */
  readonly platformUrl: string;
  /** The service's output `PlatformArn`. */
  readonly platformArn: string;
  /**
   * Name of the role that makes the key: its ARN, `arn:aws:iam::<account>:role/<roleName>`, must be one of the service's
   * `platformPrincipals` before this is deployed.
   */
  readonly roleName: string;
  /** The Deployment whose key it is: the only one that the role reaches. Another one means another secret. */
  readonly deploymentId: string;
  /** The key's name, for people: 1 to 100 characters. */
  readonly keyName: string;
  /** What the key may do: at least one of the service's scopes. */
  readonly scopes: readonly string[];
  /** When the key ends, an RFC 3339 time. @default never */
  readonly expiresAt?: string;
  /** CIDRs from which alone the key can be used. @default from anywhere */
  readonly networks?: readonly string[];
  /** Any text: another one than was deployed last gives the key a new secret. @default none */
  readonly rotation?: string;
  /**
   * How long a rotation leaves the old secret valid: seconds, until the new one is first used, or not at all.
   * @default 604800, 7 days
   */
  readonly retireOld?: number | 'on_first_use' | 'now';
  /** The secret's name in Secrets Manager. @default CloudFormation makes one */
  readonly secretName?: string;
  /** ARN of the KMS key that encrypts the secret. @default the AWS managed key of Secrets Manager */
  readonly encryptionKey?: string;
  /** Days that the function's log is kept, one of CloudWatch Logs' own choices. @default 30 */
  readonly logRetention?: number;
}

/** Each rule in words, with what keeps it. A name in an IAM policy must be exact: `*` would be more than one. */
const RULES = {
  deploymentId: {
    isKept: (it: string) => /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(it),
    rule: 'the ID of a Deployment as text that is known when the template is made, for example etl',
  },
  roleName: {
    isKept: (it: string) => /^[\w+=,.@-]{1,64}$/.test(it),
    rule: 'the name of a role, up to 64 letters, digits and +=,.@_-, for example etl-key-secret',
  },
} as const;

/**
 * An API key whose secret goes straight into AWS Secrets Manager, as `{"client_id", "client_secret"}`: it is in no
 * template, output, log or state of CloudFormation. The key goes with the stack.
 *
 * @throws Error a sentence for a property that is wrong
 */
export class DeploymentKeySecret extends Construct {
  /** There once the key is: whatever refers to it waits for that. */
  readonly secret: secretsmanager.ISecret;
  /** ID of the key, its `client_id`. */
  readonly keyId: string;
  /** ARN of the role that must be one of the service's `platformPrincipals`. */
  readonly roleArn: string;

  constructor(scope: Construct, id: string, props: DeploymentKeySecretProps) {
    super(scope, id);
    const { deploymentId, encryptionKey, platformArn } = props;
    for (const name of ['deploymentId', 'roleName'] as const) {
      const { isKept, rule } = RULES[name];
      if (!isKept(props[name])) throw new Error(`${name} must be ${rule}.`);
    }
    if (props.scopes.length === 0) {
      throw new Error('scopes must name at least one scope, for example code:deploy.');
    }

    // With the Deployment in their names another Deployment makes other resources: CloudFormation then makes the new
    // before it deletes the old, and a rollback finds the old as they were.
    const secret = new secretsmanager.CfnSecret(this, `Secret-${deploymentId}`, {
      name: props.secretName,
      description: `ID and secret of the API key ${props.keyName} of the Deployment ${deploymentId}`,
      // Without a value: until the key is there, whoever reads it gets an error and no text that looks like a secret.
      kmsKeyId: encryptionKey,
    });
    acknowledge(secret, {
      'AwsSolutions-SMG4':
        'Secrets Manager cannot rotate it by itself: a new secret is the service’s to give. The property rotation asks for one.',
    });

    const maker = new ServiceFunction(this, 'deployment-key-secret', {
      description: `Makes the key ${props.keyName} of the Deployment ${deploymentId} and keeps its secret`,
      timeout: Duration.minutes(5),
      roleName: props.roleName,
      retainLogs: false,
      logRetention: props.logRetention ?? 30,
      tracing: false,
      withoutDeadLetters:
        'CloudFormation calls it, waits for its answer, and says in the stack’s events when there was none.',
    });
    this.roleArn = maker.role.roleArn;

    const key = new CustomResource(this, `Key-${deploymentId}`, {
      resourceType: 'Custom::DeploymentKeySecret',
      serviceToken: maker.function.functionArn,
      // Three runs of the function, with Lambda's pauses between them; the default is an hour.
      serviceTimeout: Duration.minutes(20),
      properties: {
        PlatformUrl: props.platformUrl,
        PlatformRegion: Token.isUnresolved(platformArn)
          ? Fn.select(3, Fn.split(':', platformArn))
          : platformArn.split(':')[3],
        SecretArn: secret.ref,
        DeploymentId: deploymentId,
        Name: props.keyName,
        Scopes: props.scopes,
        ExpiresAt: props.expiresAt,
        Networks: props.networks,
        Rotation: props.rotation,
        RetireOld: props.retireOld?.toString(),
      },
    });
    key.node.addDependency(this.#reach(maker, secret.ref, props));
    this.keyId = key.getAttString('KeyId');
    this.secret = secretsmanager.Secret.fromSecretAttributes(this, 'Secret', {
      secretCompleteArn: key.getAttString('SecretArn'),
      encryptionKey: encryptionKey === undefined ? undefined : Key.fromKeyArn(this, 'Key', encryptionKey),
    });
  }

  /**
   * The calls on the keys of the one Deployment, and writing the one secret: it can read none. A policy by itself, with
   * the Deployment in its name: when that changes, the old one stays until the old key has been deleted by it.
   */
  #reach(maker: ServiceFunction, secretArn: string, props: DeploymentKeySecretProps): iam.Policy {
    const { deploymentId, platformArn, encryptionKey } = props;
    const keys = `platform/deployments/${deploymentId}/api-keys`;
    const ofAll = [`GET/${keys}`, `POST/${keys}`];
    const ofOne = [`GET/${keys}/*`, `PATCH/${keys}/*`, `DELETE/${keys}/*`, `POST/${keys}/*/rotate`];
    const policy = new iam.Policy(this, `Reach-${deploymentId}`, { roles: [maker.role] });
    policy.addStatements(
      new iam.PolicyStatement({
        actions: ['execute-api:Invoke'],
        resources: [...ofAll, ...ofOne].map((call) => `${platformArn}/${call}`),
      }),
      new iam.PolicyStatement({ actions: ['secretsmanager:PutSecretValue'], resources: [secretArn] }),
    );
    if (encryptionKey !== undefined) {
      const { region, urlSuffix } = Stack.of(this);
      policy.addStatements(
        new iam.PolicyStatement({
          actions: ['kms:GenerateDataKey', 'kms:Decrypt'],
          resources: [encryptionKey],
          conditions: { StringEquals: { 'kms:ViaService': `secretsmanager.${region}.${urlSuffix}` } },
        }),
      );
    }
    // The packs name a finding by its resource, which a reference has not yet.
    if (!Token.isUnresolved(platformArn)) {
      const reason = 'A key has no ID before it is made: the wildcard stands for the keys of one Deployment.';
      const findings = ofOne.map((call) => `AwsSolutions-IAM5[Resource::${platformArn}/${call}]`);
      acknowledge(policy, Object.fromEntries(findings.map((finding) => [finding, reason])));
    }
    return policy;
  }
}
