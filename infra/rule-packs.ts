import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, ServerlessChecks } from 'cdk-nag';

/**
 * Checks the synthesised templates with the cdk-nag rule packs `AwsSolutions` and `Serverless`. Synthesis fails if a
 * finding is not acknowledged, with a reason, on its resource.
 */
export function applyRulePacks(app: App): void {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));
}
