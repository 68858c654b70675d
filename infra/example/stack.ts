import { join } from 'node:path';
import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { LambdaIntegration, RestApi } from 'aws-cdk-lib/aws-apigateway';
import { HttpApi, HttpMethod } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { DeploymentKeyAuthorizer } from '../deployment-key-authorizer.ts';

export interface DeployReceiverStackProps extends StackProps {
  /** The service stack's `AuthorizerFunctionArn` output. */
  readonly authorizerFunctionArn: string;
  /** The folder that contains a subfolder for each handler's bundle. */
  readonly bundles: string;
}

/**
 * The scopes that each route requires. Both paths contain the Deployment ID, so the handlers do not need to compare it.
 */
const protection = {
  requiredScopes: {
    'POST /deployments/{deploymentId}/deploys': ['code:deploy'],
    'GET /deployments/{deploymentId}/dags': ['airflow:read'],
  },
  handlerChecksDeployment: false,
};

/** An example API behind the authorizer, both as a REST API and as an HTTP API. */
export class DeployReceiverStack extends Stack {
  constructor(scope: Construct, id: string, props: DeployReceiverStackProps) {
    const { authorizerFunctionArn: functionArn, bundles, ...stackProps } = props;
    super(scope, id, stackProps);
    const receiveDeploy = this.#function('ReceiveDeploy', join(bundles, 'receive-deploy'));
    const listDags = this.#function('ListDags', join(bundles, 'list-dags'));

    const rest = new RestApi(this, 'Rest', { restApiName: `${id}-rest`, cloudWatchRole: false });
    const ofRest = new DeploymentKeyAuthorizer(this, 'RestAuthorizer', {
      api: rest,
      functionArn,
      ...protection,
    });
    const deployment = rest.root.addResource('deployments').addResource('{deploymentId}');
    deployment
      .addResource('deploys')
      .addMethod('POST', new LambdaIntegration(receiveDeploy), { authorizer: ofRest });
    deployment.addResource('dags').addMethod('GET', new LambdaIntegration(listDags), { authorizer: ofRest });

    const http = new HttpApi(this, 'Http', { apiName: `${id}-http` });
    const ofHttp = new DeploymentKeyAuthorizer(this, 'HttpAuthorizer', {
      api: http,
      functionArn,
      ...protection,
    });
    http.addRoutes({
      path: '/deployments/{deploymentId}/deploys',
      methods: [HttpMethod.POST],
      integration: new HttpLambdaIntegration('ReceiveDeploy', receiveDeploy),
      authorizer: ofHttp,
    });
    http.addRoutes({
      path: '/deployments/{deploymentId}/dags',
      methods: [HttpMethod.GET],
      integration: new HttpLambdaIntegration('ListDags', listDags),
      authorizer: ofHttp,
    });

    new CfnOutput(this, 'RestUrl', { value: rest.url });
    new CfnOutput(this, 'HttpUrl', { value: http.apiEndpoint });
  }

  #function(id: string, bundle: string): lambda.Function {
    return new lambda.Function(this, id, {
      runtime: lambda.Runtime.NODEJS_24_X,
      architecture: lambda.Architecture.ARM_64,
      code: lambda.Code.fromAsset(bundle),
      handler: 'index.handler',
      timeout: Duration.seconds(5),
    });
  }
}
