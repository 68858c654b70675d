import { type App, Duration, Stack } from 'aws-cdk-lib';
import { LambdaIntegration, RestApi, TokenAuthorizer } from 'aws-cdk-lib/aws-apigateway';
import { type CfnAuthorizer, type CfnStage, HttpApi, HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { synthesise } from '../../infra/app.ts';
import { DeploymentKeyAuthorizer } from '../../infra/deployment-key-authorizer.ts';
import { DeploymentKeySecret } from '../../infra/deployment-key-secret.ts';
import { addExample } from '../../infra/example/app.ts';
import type { DeploymentKeysStack } from '../../infra/stack.ts';

/**
 * Synthesises the service, the example API, and an API with features that only hand-written APIs have: IAM policy
 * responses and a TOKEN authorizer.
 */
export function synthesiseConsumers(
  context: Readonly<Record<string, unknown>>,
  outdir: string,
): CloudAssembly {
  return synthesise(context, outdir, (app, service) => {
    addExample(app, service);
    new HandMadeStack(app, service);
  });
}

/** Name of the role with which the stack of `synthesiseKeySecret` calls the platform's API. */
export const KEY_SECRET_ROLE_NAME = 'etl-key-secret';

/** Synthesises the service, and a consumer's stack that stores a key for the Deployment etl in Secrets Manager. */
export const synthesiseKeySecret = (
  context: Readonly<Record<string, unknown>>,
  outdir: string,
): CloudAssembly =>
  synthesise(context, outdir, (app, { platformUrl = '', platformArn = '' }) => {
    new DeploymentKeySecret(new Stack(app, 'Consumer'), 'Key', {
      platformUrl,
      platformArn,
      roleName: KEY_SECRET_ROLE_NAME,
      deploymentId: 'etl',
      keyName: 'ci',
      scopes: ['code:deploy'],
    });
  });

const PATH = '/deployments/{deploymentId}/deploys';

class HandMadeStack extends Stack {
  constructor(app: App, { authorizerFunctionArn: functionArn }: DeploymentKeysStack) {
    super(app, 'HandMade');
    const echo = new LambdaFunction(this, 'Echo', {
      runtime: Runtime.NODEJS_24_X,
      handler: 'index.handler',
      code: Code.fromInline(
        'exports.handler = async ({ requestContext: { authorizer } }) => ({ statusCode: 202, body: JSON.stringify(authorizer.lambda ?? authorizer) });',
      ),
    });

    const iam = new HttpApi(this, 'Iam');
    const ofIam = new DeploymentKeyAuthorizer(this, 'IamAuthorizer', {
      api: iam,
      functionArn,
      requiredScopes: { [`POST ${PATH}`]: ['code:deploy'] },
      handlerChecksDeployment: false,
    });
    (ofIam.node.defaultChild as CfnAuthorizer).enableSimpleResponses = false;
    const stage = iam.defaultStage?.node.defaultChild as CfnStage;
    stage.addPropertyOverride('StageVariables.authorizerResponse', 'iam');
    iam.addRoutes({
      path: PATH,
      methods: [HttpMethod.POST],
      integration: new HttpLambdaIntegration('Echo', echo),
      authorizer: ofIam,
    });

    const token = new RestApi(this, 'Token', { cloudWatchRole: false });
    const ofToken = new TokenAuthorizer(this, 'TokenAuthorizer', {
      handler: LambdaFunction.fromFunctionAttributes(this, 'Authorize', { functionArn }),
      assumeRole: new Role(this, 'TokenRole', {
        assumedBy: new ServicePrincipal('apigateway.amazonaws.com'),
      }),
      resultsCacheTtl: Duration.seconds(0),
    });
    token.root.resourceForPath(PATH).addMethod('POST', new LambdaIntegration(echo), { authorizer: ofToken });
  }
}
