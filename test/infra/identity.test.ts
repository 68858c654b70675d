import { describe, expect, it } from 'vitest';
import { EVERYTHING, idAt, templateOf } from '../support/template.ts';

/**
 * Resources whose names are used outside the stack: URLs in pipelines and ARNs in other stacks. If a logical ID
 * changes, CloudFormation creates a new resource with a new name. The table's logical ID is tested in table.test.ts.
 */
const REFERRED_TO = {
  'Api/Default': 'ApiF70053CD',
  'Authorize/Function': 'AuthorizeFunction6EA1BF62',
  'EventBus/Default': 'EventBus7B8748AA',
};

describe('An update does not rename resources that other stacks and people refer to', () => {
  it.each([
    ['in development', {}],
    ['in production', { stage: 'production' }],
    ['with every setting', EVERYTHING],
  ])(
    'resources that are referenced from outside the stack keep their logical IDs, and therefore their names, %s',
    (_, context) => {
      const template = templateOf(context);
      const found = Object.keys(REFERRED_TO).map((path) => [path, idAt(template, path)]);
      expect(Object.fromEntries(found)).toStrictEqual(REFERRED_TO);
    },
  );

  it('the user pool keeps its logical ID, so that no user accounts are lost', () => {
    const idsOf = (type: string) => Object.keys(templateOf({}).findResources(type));
    expect(idsOf('AWS::Cognito::UserPool')).toStrictEqual(['PeopleE38C8D03']);
    expect(idsOf('AWS::Cognito::UserPoolClient')).toStrictEqual(['PeopleConsoleB356DBDB']);
  });
});
