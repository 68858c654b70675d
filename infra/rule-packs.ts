import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';

/**
 * Has the rule packs `AwsSolutions` and `Serverless` of cdk-nag judge what the app synthesises. A finding that nobody
 * has acknowledged, with a reason, at the resource itself fails the synthesis.
 */
export function applyRulePacks(app: App): void {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));
}
