import { readFileSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { bundleFunctions } from './bundle.ts';
import { EMULATED } from './deployable.ts';
import { ConfigError, readSettings } from './settings.ts';
import { DeploymentKeysStack } from './stack.ts';
import { stackNameOf } from './stack-name.ts';

/** The construct ID of the stack, which is the first part of every construct's path. */
export const STACK_ID = 'DeploymentApiKeys';

/**
 * Adds the service to an app. The settings come from the app's context.
 *
 * @throws ConfigError if a setting is wrong, before the functions are bundled
 */
export function build(app: App): DeploymentKeysStack {
  const settings = app.node.getAllContext();
  const { stage } = readSettings(settings);
  bundleFunctions();
  return new DeploymentKeysStack(app, STACK_ID, { stackName: stackNameOf(stage), settings });
}

/**
 * Synthesises the app in this process as `cdk synth` does, with the feature flags in cdk.json and the metadata that
 * links each resource to its construct and asset. Also accepts issuers on this machine, because the emulator can reach
 * them.
 *
 * @param context settings in the format of `cdk -c`
 * @param outdir folder for the cloud assembly
 * @param addMore function that adds other stacks to the app
 * @throws ConfigError if a setting is wrong
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
      [EMULATED]: true,
      ...context,
    },
  });
  addMore(app, build(app));
  return app.synth();
}

/** Runs an app's code. If a setting is wrong, prints the error message without a stack trace. */
export async function runApp(code: () => void | Promise<void>): Promise<void> {
  try {
    await code();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

// `cdk` runs this file and passes the context and the output folder in the environment. When the process exits, `cdk`
// reads the assembly.
if (import.meta.main) {
  await runApp(async () => {
    const app = new App();
    build(app);
    // Load the rule packs only when `cdk` runs the app, because loading them takes a second and the local stack does
    // not need them.
    const { applyRulePacks } = await import('./rule-packs.ts');
    applyRulePacks(app);
  });
}
