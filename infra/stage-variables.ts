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

/** The stage variables that the authorizer receives with calls to a stage. */
export interface StageVariables {
  /** Construct path of the resource that creates the stage. */
  readonly path: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

type Properties = Readonly<Record<string, unknown>>;

/**
 * For each CloudFormation type that creates a stage: the sets of stage variables that calls to the stage can receive.
 * Calls to a canary receive the stage's variables, overridden by those of the canary.
 */
const VARIABLES_OF: Readonly<Record<string, (properties: Properties) => Properties[]>> = {
  'AWS::ApiGatewayV2::Stage': ({ StageVariables }) => [Object(StageVariables)],
  'AWS::ApiGateway::Stage': ({ Variables, CanarySetting }) => withCanaries(Variables, [CanarySetting]),
  // A deployment resource that has a StageName creates a stage with that name.
  'AWS::ApiGateway::Deployment': ({ StageName, StageDescription, DeploymentCanarySettings }) => {
    const { Variables, CanarySetting } = Object(StageDescription);
    return StageName === undefined ? [] : withCanaries(Variables, [CanarySetting, DeploymentCanarySettings]);
  },
  // With quick create, the API itself creates the `$default` stage.
  'AWS::ApiGatewayV2::Api': ({ Target }) => (Target === undefined ? [] : [{}]),
};

function withCanaries(variables: unknown, canaries: unknown[]): Properties[] {
  const overrides = canaries.map((canary) => Object(canary).StageVariableOverrides);
  return [undefined, ...overrides].map((override) => ({ ...Object(variables), ...Object(override) }));
}

/** Sets variables on a stage, replacing existing variables that have the same names. */
export function setStageVariables(stage: CfnResource, variables: Readonly<Record<string, string>>): void {
  const property = stage.cfnResourceType === 'AWS::ApiGateway::Stage' ? 'Variables' : 'StageVariables';
  for (const [name, value] of Object.entries(variables)) {
    stage.addPropertyOverride(`${property}.${name}`, value);
  }
}

/**
 * Returns the variables of every stage of an API in the app, as the template will contain them. Does not find stages
 * that refer to the API by a literal ID, an imported value or a parameter.
 *
 * @param api the CloudFormation resource of the API
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

/**
 * Reports whether a resource is the API, or refers to the API by a CDK reference or a hand-written intrinsic function.
 */
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

/** Returns the resolved properties of a resource, and the constructs to which its API property refers. */
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
    // The document path consists of `Resources`, the logical ID, `Properties`, and the name of the property.
    const isForApi = /^(rest)?apiId$/i.test(context.documentPath[3] ?? '');
    if (isForApi && Reference.isReference(token)) this.targets.add(token.target);
    return super.resolveToken(token, context, postProcessor);
  }
}
