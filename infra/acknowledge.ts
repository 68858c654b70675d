import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/**
 * Accepts findings of the rule packs `AwsSolutions` and `Serverless` of cdk-nag on one resource, each with the
 * reason that a reviewer reads. Written where the resource is made, so that it goes wherever the construct goes.
 */
export function acknowledge(resource: IConstruct, reasons: Readonly<Record<string, string>>): void {
  for (const [rule, reason] of Object.entries(reasons)) {
    const pack = rule.slice(0, rule.indexOf('-'));
    Validations.of(resource).acknowledge({ id: `${pack}::${rule}`, reason });
  }
}
