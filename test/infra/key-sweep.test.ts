import { expect, it } from 'vitest';
import { idAt, type Json, templateOf, WITH_ISSUER } from '../support/template.ts';

const template = templateOf(WITH_ISSUER);
const sweep = { 'Fn::GetAtt': [idAt(template, 'SweepKeys/Function'), 'Arn'] };

it('the schedules invoke the sweep once a day for all of its work, and once an hour only for rejected calls', () => {
  const rules = Object.values<Json>(template.findResources('AWS::Events::Rule'))
    .map(({ Properties }) => Properties)
    .filter(({ Targets }) => JSON.stringify(Targets[0].Arn) === JSON.stringify(sweep))
    .map(({ ScheduleExpression, Targets }) => [ScheduleExpression, Targets[0].Input]);
  expect(Object.fromEntries(rules)).toStrictEqual({
    'rate(1 day)': undefined,
    'rate(1 hour)': '{"task":"rejected-calls"}',
  });
});
