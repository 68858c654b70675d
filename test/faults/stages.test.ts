import { describe, expect, it } from 'vitest';
import type { CfnTemplate } from '../../local/template.ts';
import { kept } from '../support/assembly.ts';
import { call, runStack } from '../support/stack.ts';

/** Stages that were created by hand or in another app, by someone who does not know about the stage variables. */
const stack = await runStack({
  synthesise: kept('consumers', async () => (await import('../support/consumers.ts')).synthesiseConsumers),
  alterTemplate: ({ Resources }: CfnTemplate) => {
    for (const { Type, Properties } of Object.values(Resources)) {
      if (Type === 'AWS::ApiGatewayV2::Stage') delete Properties?.StageVariables;
      if (Type === 'AWS::ApiGateway::Stage') delete Properties?.Variables;
    }
  },
});

const token = await stack.newToken('good');
await stack.newToken('other');

/** Calls a consumer's API with a token that is valid for the Deployment `good`. */
const deploy = (api: string, deploymentId: string) =>
  call(stack.urls[`${api}/Resource`] ?? '', 'POST', `/deployments/${deploymentId}/deploys`, { token });

describe("#49: A stage without the authorizer's variables denies every call", () => {
  it.each(['Rest', 'Http'])(
    "#49: the %s API returns 401 for every call to a stage without the authorizer's variables",
    async (api) => {
      stack.resetCalls();
      for (const deploymentId of ['good', 'other']) {
        const { status, json } = await deploy(api, deploymentId);
        expect({ status, json }).toStrictEqual({ status: 401, json: { message: 'Unauthorized' } });
      }
      expect(stack.calls('authorize')).toStrictEqual({});
    },
  );

  it('a token that is denied only for missing stage variables is accepted by an API that needs none', async () => {
    expect((await deploy('Token', 'good')).status).toBe(202);
  });
});
