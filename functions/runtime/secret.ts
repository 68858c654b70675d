import { PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

/** Secrets Manager. Its client is made once, at start, and kept over calls. */
export function openSecrets(): (secretArn: string, value: string) => Promise<void> {
  const client = new SecretsManagerClient({
    requestHandler: { connectionTimeout: 2000, requestTimeout: 5000, throwOnRequestTimeout: true },
  });
  return async (secretArn, value) => {
    await client.send(new PutSecretValueCommand({ SecretId: secretArn, SecretString: value }));
  };
}
