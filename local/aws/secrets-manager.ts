import { randomUUID } from 'node:crypto';
import { ACCOUNT, REGION, type Template } from '../template.ts';

/** A Secrets Manager secret, kept in memory. */
export interface Secret {
  readonly arn: string;
  /** The secret's values, oldest first. The last value is the current one. */
  readonly versions: string[];
}

/** Creates the template's secrets without a value, and sets their ARNs as the result of `Ref`. */
export function createSecrets(template: Template): Secret[] {
  return template.ofType('AWS::SecretsManager::Secret').map((resource) => {
    const { Name, ...generated } = template.properties<{ Name?: string; GenerateSecretString?: object }>(
      resource,
    );
    if (generated.GenerateSecretString) {
      throw new Error(`${resource.path}: the local runner generates no secret values.`);
    }
    const name = Name ?? resource.logicalId;
    const arn = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:${name}-local1`;
    template.set(resource, 'Ref', arn);
    return { arn, versions: [] };
  });
}

/** Returns the secret whose ARN the call contains, or undefined if no secret has that ARN. */
export const secretOf = (
  secrets: readonly Secret[],
  { SecretId }: Record<string, unknown>,
): Secret | undefined => secrets.find(({ arn }) => arn === SecretId);

/** Runs a call. Returns the response, or undefined for any operation other than PutSecretValue. */
export function callSecret(
  secret: Secret,
  operation: string,
  { SecretString }: Record<string, unknown>,
): object | undefined {
  if (operation !== 'PutSecretValue' || typeof SecretString !== 'string') return undefined;
  secret.versions.push(SecretString);
  return { ARN: secret.arn, VersionId: randomUUID(), VersionStages: ['AWSCURRENT'] };
}
