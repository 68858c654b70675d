import {
  CfnResource,
  DefaultTokenResolver,
  type IPostProcessor,
  type IResolvable,
  type IResolveContext,
  Reference,
  Stack,
  StringConcat,
  Tokenization,
} from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** The stage variables that the authorizer gets with the calls of a stage. */
export interface StageVariables {
  /** Construct path of the resource that creates the stage. */
  readonly path: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

type Properties = Readonly<Record<string, unknown>>;

/**
 * For each CloudFormation type that creates a stage: the sets of variables that calls of the stage can get. Calls of a
 * canary get the stage's variables, overridden by the canary's.
 */
const VARIABLES_OF: Readonly<Record<string, (properties: Properties) => Properties[]>> = {
  'AWS::ApiGatewayV2::Stage': ({ StageVariables }) => [Object(StageVariables)],
  'AWS::ApiGateway::Stage': ({ Variables, CanarySetting }) => withCanaries(Variables, [CanarySetting]),
  // A deployment with a StageName creates that stage.
  'AWS::ApiGateway::Deployment': ({ StageName, StageDescription, DeploymentCanarySettings }) => {
    const { Variables, CanarySetting } = Object(StageDescription);
    return StageName === undefined ? [] : withCanaries(Variables, [CanarySetting, DeploymentCanarySettings]);
  },
  // Quick create: the API creates the stage $default.
  'AWS::ApiGatewayV2::Api': ({ Target }) => (Target === undefined ? [] : [{}]),
};

function withCanaries(variables: unknown, canaries: unknown[]): Properties[] {
  const overrides = canaries.map((canary) => Object(canary).StageVariableOverrides);
  return [undefined, ...overrides].map((override) => ({ ...Object(variables), ...Object(override) }));
}

/** Sets variables of a stage. They replace variables of the same names. */
export function setStageVariables(stage: CfnResource, variables: Readonly<Record<string, string>>): void {
  const property = stage.cfnResourceType === 'AWS::ApiGateway::Stage' ? 'Variables' : 'StageVariables';
  for (const [name, value] of Object.entries(variables)) {
    stage.addPropertyOverride(`${property}.${name}`, value);
  }
}

/**
 * Returns the variables of every stage of an API in the app, as the template will have them. It does not find a stage that
 * refers to the API by an ID as text, an imported value or a parameter.
 *
 * @param api the resource of the API
 */
export function stageVariablesOf(api: CfnResource): StageVariables[] {
  return api.node.root.node
    .findAll()
    .filter((it) => CfnResource.isCfnResource(it))
    .flatMap((resource) => {
      const read = VARIABLES_OF[resource.cfnResourceType];
      if (!read) return [];
      const { properties, apis } = rendered(resource);
      const path = resource.node.path;
      return isOf(api, resource, properties, apis)
        ? read(properties).map((variables) => ({ path, variables }))
        : [];
    });
}

/** Whether a resource is the API, or refers to it by a CDK reference or a hand-written intrinsic function. */
function isOf(
  api: CfnResource,
  resource: CfnResource,
  { ApiId, RestApiId }: Properties,
  apis: ReadonlySet<IConstruct>,
): boolean {
  const logicalId = Stack.of(api).resolve(api.logicalId);
  const isInItsStack = Stack.of(resource) === Stack.of(api);
  return (
    resource === api ||
    apis.has(api) ||
    (isInItsStack && JSON.stringify([ApiId, RestApiId]).includes(`"${logicalId}"`))
  );
}

/** Returns the resolved properties of a resource, and the constructs that its API property refers to. */
function rendered(resource: CfnResource): { properties: Properties; apis: ReadonlySet<IConstruct> } {
  const resolver = new ApiReferences();
  const { Resources } = Tokenization.resolve(resource._toCloudFormation(), {
    scope: resource,
    resolver,
    preparing: false,
  });
  const [{ Properties = {} }] = Object.values<{ Properties?: Properties }>(Resources) as [
    { Properties?: Properties },
  ];
  return { properties: Properties, apis: resolver.targets };
}

/** A resolver that also collects the constructs that the API property refers to, in any stack. */
class ApiReferences extends DefaultTokenResolver {
  readonly targets = new Set<IConstruct>();

  constructor() {
    super(new StringConcat());
  }

  override resolveToken(
    token: IResolvable,
    context: IResolveContext,
    postProcessor: IPostProcessor,
  ): unknown {
    // The path is Resources, the logical ID, Properties, and then the name of the property.
    const isForApi = /^(rest)?apiId$/i.test(context.documentPath[3] ?? '');
    if (isForApi && Reference.isReference(token)) this.targets.add(token.target);
    return super.resolveToken(token, context, postProcessor);
  }
}
