import { describe, expect, it } from 'vitest';
import { EVERYTHING, idAt, templateOf } from '../support/template.ts';

/**
 * Resources whose names others have stored: URLs in pipelines, ARNs in other stacks. If a logical ID changes,
 * CloudFormation creates another resource with another name. The table's is tested in table.test.ts.
 */
const REFERRED_TO = {
  'Api/Default': 'ApiF70053CD',
  'Authorize/Function': 'AuthorizeFunction6EA1BF62',
  'EventBus/Default': 'EventBus7B8748AA',
};

describe('resources that others refer to', () => {
  it.each([
    ['in development', {}],
    ['in production', { stage: 'production' }],
    ['with every setting', EVERYTHING],
  ])('resources that others refer to keep their logical IDs, and so their names, %s', (_, context) => {
    const template = templateOf(context);
    const found = Object.keys(REFERRED_TO).map((path) => [path, idAt(template, path)]);
    expect(Object.fromEntries(found)).toStrictEqual(REFERRED_TO);
  });

  it('resources that others refer to include the user pool, which keeps its people', () => {
    const idsOf = (type: string) => Object.keys(templateOf({}).findResources(type));
    expect(idsOf('AWS::Cognito::UserPool')).toStrictEqual(['PeopleE38C8D03']);
    expect(idsOf('AWS::Cognito::UserPoolClient')).toStrictEqual(['PeopleConsoleB356DBDB']);
  });
});
