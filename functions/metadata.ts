import middy from '@middy/core';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { answers, asOAuthError, invocation } from './http/answer.ts';
import { issuerOf } from './http/issuer.ts';
import { metadata } from './routes/metadata.ts';
import { readPublicUrl, readScopes, readTrustedIssuers } from './runtime/config.ts';
import { newLogger } from './runtime/logger.ts';

const scopes = readScopes();
const publicUrl = readPublicUrl();
const exchanges = readTrustedIssuers().length > 0;
const logger = newLogger('metadata');

/** GET /.well-known/oauth-authorization-server */
export const handler = middy<APIGatewayProxyEventV2>()
  .use(invocation(logger))
  // The response contains only settings, so no call can fail, and there are no failures to count.
  .use(answers(logger, asOAuthError, () => {}))
  .handler(async (event) => metadata(issuerOf(event, publicUrl), scopes, exchanges));
