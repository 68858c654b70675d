import { randomUUID } from 'node:crypto';
import { ACCOUNT, REGION, type Template } from '../template.ts';

/** A secret of Secrets Manager, in memory. */
export interface Secret {
  readonly arn: string;
  /** Its values, the current one last. */
  readonly versions: string[];
}

/** Makes the template's secrets, without a value, and tells the template their ARNs: that is what `Ref` gives. */
export function makeSecrets(template: Template): Secret[] {
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

/** The secret that a call names by its ARN; undefined where there is none. */
export const secretOf = (
  secrets: readonly Secret[],
  { SecretId }: Record<string, unknown>,
): Secret | undefined => secrets.find(({ arn }) => arn === SecretId);

/** @returns the answer; undefined for another operation than PutSecretValue */
export function callSecret(
  secret: Secret,
  operation: string,
  { SecretString }: Record<string, unknown>,
): object | undefined {
  if (operation !== 'PutSecretValue' || typeof SecretString !== 'string') return undefined;
  secret.versions.push(SecretString);
  return { ARN: secret.arn, VersionId: randomUUID(), VersionStages: ['AWSCURRENT'] };
}
