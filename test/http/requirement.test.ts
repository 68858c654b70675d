import { expect, it } from 'vitest';
import { parseRequirement } from '../../functions/http/requirement.ts';

const KNOWN = ['code:deploy', 'airflow:read'];

it.each([
  ['', [], undefined],
  ['scope=code:deploy', ['code:deploy'], undefined],
  ['scope=code%3Adeploy+airflow%3Aread', ['code:deploy', 'airflow:read'], undefined],
  ['deployment=etl', [], 'etl'],
  ['deployment=etl&scope=airflow:read', ['airflow:read'], 'etl'],
])(
  'GET /whoami requires the scopes and the Deployment that its query names: "%s"',
  (query, scopes, deploymentId) => {
    expect(parseRequirement(query, KNOWN)).toStrictEqual({ scopes, deploymentId });
  },
);

it.each([
  ['an unknown parameter', 'scopes=code:deploy'],
  ['an unknown parameter besides a known one', 'scope=code:deploy&x=1'],
  ['a parameter in upper case', 'Deployment=etl'],
  ['a parameter without a name', '=etl'],
  ['a repeated scope', 'scope=code:deploy&scope=airflow:read'],
  ['a repeated Deployment', 'deployment=etl&deployment=etl'],
  ['an empty scope', 'scope='],
  ['an empty Deployment', 'deployment='],
  ['an empty Deployment besides a scope', 'scope=code:deploy&deployment='],
  ['an unknown scope', 'scope=admin'],
  ['an unknown scope besides a known one', 'scope=code:deploy+admin'],
  ['an unknown scope besides a Deployment', 'deployment=etl&scope=admin'],
  ['two spaces between scopes', 'scope=code:deploy++airflow:read'],
])('GET /whoami rejects a query with %s', (_, query) => {
  expect(parseRequirement(query, KNOWN)).toBeUndefined();
});
