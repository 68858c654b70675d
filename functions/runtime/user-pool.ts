import aws4 from 'aws4';
import { readAwsAccess } from './config.ts';

/** Time limit for one attempt, in milliseconds. */
const ATTEMPT = 5000;
const ATTEMPTS = 3;

/**
 * Returns a function that signs a person out everywhere by making Cognito revoke their refresh tokens. A person who is
 * not in the pool has no refresh tokens.
 * @throws Error from the returned function if Cognito did not sign the person out
 */
export function openUserPool(
  userPoolId: string,
  endpoint = process.env.AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER,
): (sub: string) => Promise<void> {
  const { region, accessKeyId, secretAccessKey, sessionToken } = readAwsAccess();
  const url = endpoint ?? `https://cognito-idp.${region}.amazonaws.com`;
  return async (sub) => {
    const body = JSON.stringify({ UserPoolId: userPoolId, Username: sub });
    for (let attempt = 1; ; attempt++) {
      const signed = aws4.sign(
        {
          service: 'cognito-idp',
          region,
          method: 'POST',
          path: '/',
          headers: {
            Host: new URL(url).host,
            'Content-Type': 'application/x-amz-json-1.1',
            'X-Amz-Target': 'AWSCognitoIdentityProviderService.AdminUserGlobalSignOut',
          },
          body,
        },
        { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) },
      );
      const { Host: _, ...headers } = signed.headers as Record<string, string>;
      const signal = AbortSignal.timeout(ATTEMPT);
      const response = await fetch(url, { method: 'POST', headers, body, signal }).catch(() => undefined);
      if (response?.ok || (await typeOf(response)) === 'UserNotFoundException') return;
      if (attempt === ATTEMPTS) throw new Error(`Cognito answered ${response?.status ?? 'nothing'}`);
    }
  };
}

/** Returns the type of a Cognito error. */
async function typeOf(response: Response | undefined): Promise<string | undefined> {
  const { __type: type } = ((await response?.json().catch(() => undefined)) ?? {}) as { __type?: unknown };
  return typeof type === 'string' ? type.split('#').at(-1) : undefined;
}
