import { expect, it } from 'vitest';
import { idAt, type Json, templateOf, WITH_ISSUER } from '../support/template.ts';

const template = templateOf(WITH_ISSUER);
const sweep = { 'Fn::GetAtt': [idAt(template, 'SweepKeys/Function'), 'Arn'] };

it('the daily check of all keys runs once a day, and its part for rejected calls runs once an hour', () => {
  const rules = Object.values<Json>(template.findResources('AWS::Events::Rule'))
    .map(({ Properties }) => Properties)
    .filter(({ Targets }) => JSON.stringify(Targets[0].Arn) === JSON.stringify(sweep))
    .map(({ ScheduleExpression, Targets }) => [ScheduleExpression, Targets[0].Input]);
  expect(Object.fromEntries(rules)).toStrictEqual({
    'rate(1 day)': undefined,
    'rate(1 hour)': '{"task":"rejected-calls"}',
  });
});
