import { fileURLToPath } from 'node:url';
import { App } from 'aws-cdk-lib';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { build, runApp, synthesise } from '../app.ts';
import { bundleFunctions } from '../bundle.ts';
import type { DeploymentKeysStack } from '../stack.ts';
import { DeployReceiverStack } from './stack.ts';

const handlers = fileURLToPath(new URL('./handlers', import.meta.url));
const bundles = fileURLToPath(new URL('../../.build/example', import.meta.url));

/** The construct ID of the example's stack. */
export const EXAMPLE_ID = 'DeployReceiver';

/** Adds the example to an app that contains the service. */
export function addExample(app: App, service: DeploymentKeysStack): void {
  bundleFunctions(handlers, bundles, ['receive-deploy', 'list-dags']);
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
