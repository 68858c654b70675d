import { PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

/**
 * Returns a function that stores a value in Secrets Manager. The client is created once and reused across invocations.
 */
export function openSecrets(): (secretArn: string, value: string) => Promise<void> {
  const client = new SecretsManagerClient({
    requestHandler: { connectionTimeout: 2000, requestTimeout: 5000, throwOnRequestTimeout: true },
  });
  return async (secretArn, value) => {
    await client.send(new PutSecretValueCommand({ SecretId: secretArn, SecretString: value }));
  };
}
