import { expect, it } from 'vitest';
import { idAt, resourceAt, templateOf } from '../support/template.ts';

const template = templateOf();

it('a schedule invokes reconciliation every 15 minutes and does not retry a failed run', () => {
  const target = { 'Fn::GetAtt': [idAt(template, 'Reconcile/Function'), 'Arn'] };
  expect(resourceAt(template, 'Reconciliation/Schedule').Properties).toMatchObject({
    ScheduleExpression: 'rate(15 minutes)',
    State: 'ENABLED',
    Targets: [{ Arn: target }],
  });
  expect(resourceAt(template, 'Reconcile/Function/EventInvokeConfig').Properties).toMatchObject({
    MaximumRetryAttempts: 0,
    MaximumEventAgeInSeconds: 600,
  });
});
