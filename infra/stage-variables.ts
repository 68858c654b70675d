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

/** The variables by which calls of a stage are judged. */
export interface StageVariables {
  /** Path of the resource that makes the stage. */
  readonly path: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

type Properties = Readonly<Record<string, unknown>>;

/**
 * What makes a stage, by CloudFormation type: every set of variables that its calls may see. A canary's calls see the
 * stage's variables with its own over them.
 */
const VARIABLES_OF: Readonly<Record<string, (properties: Properties) => Properties[]>> = {
  'AWS::ApiGatewayV2::Stage': ({ StageVariables }) => [Object(StageVariables)],
  'AWS::ApiGateway::Stage': ({ Variables, CanarySetting }) => withCanaries(Variables, [CanarySetting]),
  // With a stage's name a deployment makes that stage by itself.
  'AWS::ApiGateway::Deployment': ({ StageName, StageDescription, DeploymentCanarySettings }) => {
    const { Variables, CanarySetting } = Object(StageDescription);
    return StageName === undefined ? [] : withCanaries(Variables, [CanarySetting, DeploymentCanarySettings]);
  },
  // Quick create: the API makes the stage $default by itself.
  'AWS::ApiGatewayV2::Api': ({ Target }) => (Target === undefined ? [] : [{}]),
};

function withCanaries(variables: unknown, canaries: unknown[]): Properties[] {
  const overrides = canaries.map((canary) => Object(canary).StageVariableOverrides);
  return [undefined, ...overrides].map((override) => ({ ...Object(variables), ...Object(override) }));
}

/** Sets variables of a stage, over those of the same names that it has. */
export function setStageVariables(stage: CfnResource, variables: Readonly<Record<string, string>>): void {
  const property = stage.cfnResourceType === 'AWS::ApiGateway::Stage' ? 'Variables' : 'StageVariables';
  for (const [name, value] of Object.entries(variables)) {
    stage.addPropertyOverride(`${property}.${name}`, value);
  }
}

/**
 * The variables of every stage of an API, as CloudFormation will get them: of stages made by any construct, in any stack
 * of the app. A stage that names the API otherwise than by a reference (an ID as text, an imported value, a parameter)
 * can't be seen.
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

/** Whether a resource is the API or names it: by a reference, or by an intrinsic function written by hand in its stack. */
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

/** A resource's properties in their final form, and what its property for the API refers to. */
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

/** Resolves as the CDK does, and notes what the property for the API refers to, whatever becomes of it in another stack. */
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
    // Resources, the logical ID, Properties, and then the property.
    const isForApi = /^(rest)?apiId$/i.test(context.documentPath[3] ?? '');
    if (isForApi && Reference.isReference(token)) this.targets.add(token.target);
    return super.resolveToken(token, context, postProcessor);
  }
}
