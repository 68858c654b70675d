import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/**
 * Acknowledges findings of the cdk-nag rule packs `AwsSolutions` and `Serverless` on one resource, each with a reason.
 * Call this function in the code that creates the resource, so that the acknowledgement is part of every app that uses
 * the construct.
 */
export function acknowledge(resource: IConstruct, reasons: Readonly<Record<string, string>>): void {
  for (const [rule, reason] of Object.entries(reasons)) {
    const pack = rule.slice(0, rule.indexOf('-'));
    Validations.of(resource).acknowledge({ id: `${pack}::${rule}`, reason });
  }
}
