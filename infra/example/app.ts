import { App } from 'aws-cdk-lib';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { build, runApp, synthesise } from '../app.ts';
import type { DeploymentKeysStack } from '../stack.ts';
import { bundleExample, bundles } from './bundle.ts';
import { DeployReceiverStack } from './stack.ts';

/** The construct ID of the example's stack. */
export const EXAMPLE_ID = 'DeployReceiver';

/** Adds the example to an app that contains the service. */
export function addExample(app: App, service: DeploymentKeysStack): void {
  bundleExample();
  new DeployReceiverStack(app, EXAMPLE_ID, {
    stackName: `${service.stackName}-example`,
    authorizerFunctionArn: service.authorizerFunctionArn,
    bundles,
  });
}

/** Synthesises the service, and the example API in a separate stack. */
export function synthesiseWithExample(
  context: Readonly<Record<string, unknown>>,
  outdir: string,
): CloudAssembly {
  return synthesise(context, outdir, addExample);
}

// Deploy with `npx cdk deploy --all --app 'node infra/example/app.ts'` and all settings of the service.
if (import.meta.main) {
  await runApp(() => {
    const app = new App();
    addExample(app, build(app));
  });
}
