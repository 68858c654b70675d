import { describe, expect, it } from 'vitest';
import { EVERYTHING, idAt, templateOf } from '../support/template.ts';

/**
 * What others have written down: URLs in pipelines, ARNs in other stacks. CloudFormation makes another one, with another
 * name, where a logical ID changes. The table's is in table.test.ts.
 */
const REFERRED_TO = {
  'Api/Default': 'ApiF70053CD',
  'Authorize/Function': 'AuthorizeFunction6EA1BF62',
  'EventBus/Default': 'EventBus7B8748AA',
};

describe('what others refer to keeps its logical ID, and so its name', () => {
  it.each([
    ['in development', {}],
    ['in production', { stage: 'production' }],
    ['with every setting', EVERYTHING],
  ])('%s', (_, context) => {
    const template = templateOf(context);
    const found = Object.keys(REFERRED_TO).map((path) => [path, idAt(template, path)]);
    expect(Object.fromEntries(found)).toStrictEqual(REFERRED_TO);
  });

  it('and so do the people of the user pool', () => {
    const idsOf = (type: string) => Object.keys(templateOf({}).findResources(type));
    expect(idsOf('AWS::Cognito::UserPool')).toStrictEqual(['PeopleE38C8D03']);
    expect(idsOf('AWS::Cognito::UserPoolClient')).toStrictEqual(['PeopleConsoleB356DBDB']);
  });
});
