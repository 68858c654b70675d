import { DEVELOPER } from './api-gateway/iam-authorizer.ts';
import type { LocalStack } from './local-stack.ts';
import { REGION } from './template.ts';

/**
 * Returns shell commands that use curl, sed and grep to show the life cycle of a key on the running stack. The commands
 * register their own Deployment and delete it. Each command fails if the service rejects its call. curl reads secrets
 * from standard input.
 */
export const story = ({ url, issuer, urls }: Pick<LocalStack, 'url' | 'issuer' | 'urls'>) => `
API=${url}
DEPLOYMENT=story-$(date +%s)
ADMIN=$(ISSUER_PORT=${new URL(issuer).port} npm run -s login -- admin)
call_as() { bearer=$1; shift; printf 'Authorization: Bearer %s' "$bearer" | curl --fail-with-body -sS -H @- -H 'Content-Type: application/json' -w '\\n' "$@"; }
call_as "$ADMIN" -X PUT $API/deployments/$DEPLOYMENT -d '{"groups":["data-eng"]}'
KEY=$(call_as "$ADMIN" $API/deployments/$DEPLOYMENT/api-keys -d '{"name":"ci"}')
ID=$(printf '%s' "$KEY" | sed 's/.*"id":"\\([^"]*\\)".*/\\1/')
SECRET=$(printf '%s' "$KEY" | sed 's/.*"secret":"\\([^"]*\\)".*/\\1/')
ANSWER=$(printf 'user = "%s:%s"' "$ID" "$SECRET" | curl -fsS -K - -d grant_type=client_credentials $API/oauth/token)
TOKEN=$(printf '%s' "$ANSWER" | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
call_as "$TOKEN" $API/whoami
call_as "$TOKEN" -X POST ${urls['Rest/Resource']}/deployments/$DEPLOYMENT/deploys
call_as "$TOKEN" ${urls['Http/Resource']}/deployments/$DEPLOYMENT/dags
call_as "$ADMIN" -X DELETE $API/deployments/$DEPLOYMENT -w '%{http_code}\\n'
printf 'Authorization: Bearer %s' "$TOKEN" | curl -sS -H @- $API/whoami | grep Unauthorized
`;

/** Returns a command that calls the running stack as an IAM principal. */
export const signedCall = ({ url }: Pick<LocalStack, 'url'>) =>
  `curl --fail-with-body -sS --aws-sigv4 aws:amz:${REGION}:execute-api --user ${DEVELOPER.accessKeyId}:${DEVELOPER.secretAccessKey} ${url}/platform/deployments`;
