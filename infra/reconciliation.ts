import { Construct } from 'constructs';
import type { ServiceFunction } from './function.ts';
import { addQuarterHourlyRule } from './quarter-hourly-rule.ts';

export interface ReconciliationProps {
  /** The function that scans the table, one slice per invocation. */
  readonly reconcile: ServiceFunction;
}

/** Maximum number of reconciliations that run at the same time: a slice ends before the schedule starts the next. */
export const CONCURRENT_RECONCILIATIONS = 1;

/** Invokes reconciliation every 15 minutes. A pass starts only once a week, so most invocations have nothing to do. */
export class Reconciliation extends Construct {
  constructor(scope: Construct, id: string, { reconcile }: ReconciliationProps) {
    super(scope, id);
    addQuarterHourlyRule(this, reconcile, {
      description: 'Looks once a week, in slices, for what deleted Deployments have left behind',
      reason:
        'The event says nothing but that it is time. The next one comes 15 minutes later and goes on from the same ' +
        'place; an alarm watches slices that fail.',
    });
  }
}
