import { readFileSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { bundleFunctions } from './bundle.ts';
import { ConfigError, readConfig } from './config.ts';
import { DeploymentKeysStack } from './stack.ts';

/** The construct ID of the stack, and so the first part of every construct's path. */
export const STACK_ID = 'DeploymentApiKeys';

/**
 * Adds the service to an app, by the app's context.
 *
 * @throws ConfigError, before anything that takes time
 */
export function build(app: App): DeploymentKeysStack {
  const settings = app.node.getAllContext();
  const { stage } = readConfig(settings);
  bundleFunctions();
  return new DeploymentKeysStack(app, STACK_ID, { stackName: `deployment-api-keys-${stage}`, settings });
}

/**
 * Synthesises in this process what `cdk synth` would: the feature flags of cdk.json, the metadata that leads from
 * a resource to its construct and its asset.
 *
 * @param context as `cdk -c` takes it
 * @param outdir where the cloud assembly is written
 * @param addMore puts other stacks next to the service's
 * @throws ConfigError
 */
export function synthesise(
  context: Readonly<Record<string, unknown>>,
  outdir: string,
  addMore: (app: App, service: DeploymentKeysStack) => void = () => {},
): CloudAssembly {
  const cdkJson = JSON.parse(readFileSync(new URL('../cdk.json', import.meta.url), 'utf8'));
  const app = new App({
    outdir,
    analyticsReporting: false,
    context: {
      ...cdkJson.context,
      'aws:cdk:enable-path-metadata': true,
      'aws:cdk:enable-asset-metadata': true,
      ...context,
    },
  });
  addMore(app, build(app));
  return app.synth();
}

/** Runs an app's code as `cdk` does, and says a wrong setting in a sentence instead of a stack trace. */
export async function runApp(code: () => void | Promise<void>): Promise<void> {
  try {
    await code();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

// `cdk` runs this file, passes context and directory in the environment, and reads what is synthesised at exit.
if (import.meta.main) {
  await runApp(async () => {
    const app = new App();
    build(app);
    // Loaded here alone: the local stack has no use for it, and it takes a second.
    const { applyRulePacks } = await import('./rule-packs.ts');
    applyRulePacks(app);
  });
}
