import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DEPLOYMENT_PARAMETER,
  isParameterName,
  parseRequiredScopes,
  scopesFor,
  writtenRoute,
} from '../../functions/domain/scopes.ts';

const parsed = (text: string) => {
  const required = parseRequiredScopes(text);
  return required && Object.fromEntries(required);
};

describe('parseRequiredScopes', () => {
  it('parses required scopes by method and path', () => {
    expect(
      parsed(
        'POST/deploys=code:deploy&GET/deployments/:deploymentId/dags=airflow:read,airflow:write&GET/=any',
      ),
    ).toStrictEqual({
      'POST/deploys': ['code:deploy'],
      'GET/deployments/:deploymentId/dags': ['airflow:read', 'airflow:write'],
      'GET/': [],
    });
  });

  it('parses scope rules for ANY, for the $default route and for a greedy path parameter', () => {
    expect(parsed('ANY/files/:path...=airflow:read&default=any&ANY/:proxy...=any')).toStrictEqual({
      'ANY/files/:path...': ['airflow:read'],
      default: [],
      'ANY/:proxy...': [],
    });
  });

  it.each([
    ['nothing', ''],
    ['a rule without scopes', 'GET/a'],
    ['a rule with empty scopes', 'GET/a='],
    ['an empty scope in a list', 'GET/a=code:deploy,'],
    ['an empty rule', 'GET/a=any&'],
    ['a space before a rule', ' GET/a=any'],
    ['a rule with two equals signs', 'GET/a=any=any'],
    ['"any" next to a scope', 'GET/a=any,code:deploy'],
    ['an invalid scope', 'GET/a=Code:Deploy'],
    ['an invalid method', 'FETCH/a=any'],
    ['a method in lower case', 'get/a=any'],
    ['a wildcard as the method', '*/a=any'],
    ['a route without a path', 'GET=any'],
    ['a path with a slash at its end', 'GET/a/=any'],
    ['an empty segment', 'GET//a=any'],
    ['a parameter in braces', 'GET/{a}=any'],
    ['a parameter without a name', 'GET/:=any'],
    ['a path after a parameter for the rest of the path', 'GET/:a.../b=any'],
    ['the same route twice', 'GET/a=any&GET/a=code:deploy'],
    ['one valid and one invalid rule', 'GET/a=any&GET/b'],
    ['a semicolon between rules', 'GET/a=any;GET/b=any'],
    ['JSON', '{"GET /a":"any"}'],
    ['a newline at its end', 'GET/a=any\n'],
  ])('rejects scope rules that contain %s', (_, text) => {
    expect(parseRequiredScopes(text)).toBeUndefined();
  });

  it('parsing scope rules never throws, and a parsed text can be written back unchanged', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'GETANY/:a.=&,{}*') }), (text) => {
        const required = parseRequiredScopes(text);
        const written =
          required && [...required].map(([route, scopes]) => `${route}=${scopes.join(',') || 'any'}`);
        expect(written?.join('&') ?? text).toBe(text);
      }),
    );
  });
});

describe("A call's method and path template select its required scopes", () => {
  const required = parseRequiredScopes(
    'GET/jobs/:id=airflow:read&ANY/jobs/:id=airflow:write&ANY/files/:path...=code:deploy&default=any&GET/=any',
  );
  const of = (method: string, template: string | undefined) =>
    required && scopesFor(required, method, template);

  it("the scope rule for a call's method takes precedence over the rule for ANY", () => {
    expect(of('GET', '/jobs/{id}')).toStrictEqual(['airflow:read']);
    expect(of('DELETE', '/jobs/{id}')).toStrictEqual(['airflow:write']);
  });

  it("finds a call's scope rule by the API's path template, such as /jobs/{id} for the rule /jobs/:id", () => {
    expect(of('PUT', '/files/{path+}')).toStrictEqual(['code:deploy']);
    expect(of('PUT', '/files/{path}')).toBeUndefined();
  });

  it('a call requires no scopes when its scope rule is "any"', () => {
    expect(of('GET', '/')).toStrictEqual([]);
    expect(of('GET', undefined)).toStrictEqual([]);
  });

  it.each([
    ['POST', '/'],
    ['GET', '/jobs'],
    ['GET', '/jobs/{other}'],
    ['GET', '/jobs/:id'],
    ['GET', '/jobs/{id}/'],
    ['GET', 'jobs/{id}'],
    ['GET', 'x/jobs/{id}'],
    ['GET', 'x'],
    ['GET', '/{a b}'],
    ['GET', '/jobs/{id}/{id}'],
  ])('returns undefined for a call that has no scope rule: %s %s', (method, template) => {
    expect(of(method, template)).toBeUndefined();
  });
});

it('isParameterName accepts letters, digits, _ and -', () => {
  expect(['deploymentId', 'a_b-1'].every(isParameterName)).toBe(true);
  expect(['', 'a.b', '{a}', 'a+', ':a', 'a/b'].some(isParameterName)).toBe(false);
});

describe('writtenRoute', () => {
  it.each([
    ['$default', 'default'],
    ['GET /', 'GET/'],
    ['POST /deploys/{id}', 'POST/deploys/:id'],
    ['ANY /files/{path+}', 'ANY/files/:path...'],
  ])('writes the route %s as %s', (route, written) => {
    expect(writtenRoute(route)).toBe(written);
    expect(parsed(`${written}=any`)).toStrictEqual({ [written]: [] });
  });

  it.each([
    ['', 'an empty route'],
    ['GET', 'a route without a path'],
    ['FETCH /a', 'an unknown method'],
    ['GET a', 'a path without a slash'],
    ['GET /a b', 'a route with two spaces'],
    ['GET /a/{b}c', 'a parameter that is only a part of a segment'],
  ])('returns undefined for %j: %s', (route) => expect(writtenRoute(route)).toBeUndefined());
});

it('the path parameter that names the Deployment is deploymentId unless a stage variable says otherwise', () => {
  expect(DEPLOYMENT_PARAMETER).toBe('deploymentId');
});
