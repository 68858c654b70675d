import { describe, expect, it } from 'vitest';
import type { CfnTemplate } from '../../local/template.ts';
import { kept } from '../support/assembly.ts';
import { newToken } from '../support/service.ts';
import { call, runStack } from '../support/stack.ts';

/** The stages as somebody would make them who does not know of the variables: by hand, or in an app of their own. */
const stack = await runStack({
  synthesise: kept('consumers', async () => (await import('../support/consumers.ts')).synthesiseConsumers),
  alterTemplate: ({ Resources }: CfnTemplate) => {
    for (const { Type, Properties } of Object.values(Resources)) {
      if (Type === 'AWS::ApiGatewayV2::Stage') delete Properties?.StageVariables;
      if (Type === 'AWS::ApiGateway::Stage') delete Properties?.Variables;
    }
  },
});

const token = await newToken(stack, 'good');
await newToken(stack, 'other');

/** Calls an API of a consumer, with a token that is good for the Deployment `good`. */
const deploy = (api: string, deploymentId: string) =>
  call(stack.urls[`${api}/Resource`] ?? '', 'POST', `/deployments/${deploymentId}/deploys`, { token });

describe('a stage that synthesis could not see, without the variables of its authorizer', () => {
  it.each(['Rest', 'Http'])('#49: lets nobody in by the API %s: 401, without a check', async (api) => {
    stack.resetCalls();
    for (const deploymentId of ['good', 'other']) {
      const { status, json } = await deploy(api, deploymentId);
      expect({ status, json }).toStrictEqual({ status: 401, json: { message: 'Unauthorized' } });
    }
    expect(stack.calls('authorize')).toStrictEqual({});
  });

  it('is the only reason: the same token is let in by an API whose authorizer asks for no variables', async () => {
    expect((await deploy('Token', 'good')).status).toBe(202);
  });
});
