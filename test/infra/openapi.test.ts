import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openApiText } from '../../functions/openapi/document.ts';
import { OPERATIONS } from '../../functions/openapi/operations.ts';
import { ARN, type Json, templateOf, WITH_ISSUER } from '../support/template.ts';

/** Routes that the OpenAPI document omits, each with the reason. */
const NOT_OF_THE_API: Readonly<Record<string, string>> = {};

describe('The OpenAPI document matches the API', () => {
  it('docs/openapi.json matches the schemas (`npm run generate` updates it)', () => {
    expect(readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8')).toBe(openApiText());
  });

  it('docs/openapi.json has exactly the routes of the template, with the same authentication', () => {
    const template = templateOf({ ...WITH_ISSUER, platformPrincipals: ARN.PRINCIPAL });
    const routes = Object.values<Json>(template.findResources('AWS::ApiGatewayV2::Route'))
      .map(({ Properties: { RouteKey, AuthorizationType } }) => ({ RouteKey, AuthorizationType }))
      .filter(({ RouteKey }) => !(RouteKey in NOT_OF_THE_API));
    const documented = Object.entries(OPERATIONS).map(([RouteKey, { caller }]) => ({
      RouteKey,
      AuthorizationType: { person: 'JWT', platform: 'AWS_IAM' }[caller as string] ?? 'NONE',
    }));
    const byKey = (a: { RouteKey: string }, b: { RouteKey: string }) => (a.RouteKey < b.RouteKey ? -1 : 1);
    expect(documented.sort(byKey)).toStrictEqual(routes.sort(byKey));
  });
});
