import { resolve as resolvePath } from 'node:path';

/**
 * The parts of a synthesised cloud assembly that the emulator reads. The CDK's CloudAssembly implements this interface.
 */
export interface Assembly {
  /** Folder that contains the assets to which the templates refer. */
  readonly directory: string;
  readonly stacks: readonly { readonly stackName: string; readonly template: unknown }[];
}

/** A CloudFormation template as JSON. */
export interface CfnTemplate {
  Resources: Record<string, CfnResource>;
  Outputs?: Record<string, { Value: unknown; Export?: { Name: unknown } }>;
}

/** A resource in a CloudFormation template. */
export interface CfnResource {
  Type: string;
  Properties?: Record<string, unknown>;
  Metadata?: Record<string, unknown>;
}

/** A resource of one of the stacks. */
export interface Resource {
  readonly type: string;
  readonly logicalId: string;
  /** Construct path without the stack: `Authorize/Function/Resource`. */
  readonly path: string;
  readonly stack: Stack;
  readonly definition: CfnResource;
}

interface Stack {
  readonly name: string;
  readonly template: CfnTemplate;
}

/** The Region of the emulated account. */
export const REGION = 'us-east-1';
/** The ID of the emulated account. */
export const ACCOUNT = '000000000000';

const PSEUDO_PARAMETERS: Record<string, string> = {
  'AWS::Region': REGION,
  'AWS::AccountId': ACCOUNT,
  'AWS::Partition': 'aws',
  'AWS::URLSuffix': 'amazonaws.com',
};

/** The end of the ARN for each resource type, given the resource's name. Resources of other types need only a name. */
const ARN_OF: Record<string, (name: string) => string> = {
  'AWS::Lambda::Function': (name) => arn('lambda', `function:${name}`),
  'AWS::DynamoDB::GlobalTable': (name) => arn('dynamodb', `table/${name}`),
  'AWS::DynamoDB::Table': (name) => arn('dynamodb', `table/${name}`),
  'AWS::SQS::Queue': (name) => arn('sqs', name),
  'AWS::IAM::Role': (name) => `arn:aws:iam::${ACCOUNT}:role/${name}`,
  'AWS::Events::EventBus': (name) => arn('events', `event-bus/${name}`),
  'AWS::Events::Rule': (name) => arn('events', `rule/${name}`),
};

/** The lowest of AWS's limits on the length of resource names, in characters. */
const MAX_NAME = 63;

/** For each resource type, the property with which a template can choose the resource's name. */
const NAME_PROPERTY: Record<string, string> = {
  'AWS::Lambda::Function': 'FunctionName',
  'AWS::DynamoDB::GlobalTable': 'TableName',
  'AWS::DynamoDB::Table': 'TableName',
  'AWS::SQS::Queue': 'QueueName',
  'AWS::IAM::Role': 'RoleName',
  'AWS::Events::EventBus': 'Name',
  'AWS::Events::Rule': 'Name',
};

const arn = (service: string, resource: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`;

/**
 * The synthesised templates, with their references resolved as CloudFormation would resolve them, but to names and ARNs
 * on this machine. A reference that cannot be resolved is an error; nothing is guessed.
 */
export class Template {
  readonly resources: readonly Resource[];
  readonly #directory: string;
  readonly #suffix: string;
  readonly #attributes = new Map<string, string>();

  /**
   * Reads the templates of a cloud assembly.
   * @param suffix the end of physical names, where AWS puts random characters
   * @param alter function that changes a stack's template before it is read
   */
  constructor(assembly: Assembly, suffix: string, alter: (template: CfnTemplate) => void = () => {}) {
    this.#directory = assembly.directory;
    this.#suffix = suffix;
    this.resources = assembly.stacks.flatMap((artifact) => {
      const template = structuredClone(artifact.template) as CfnTemplate;
      alter(template);
      const stack = { name: artifact.stackName, template };
      return Object.entries(template.Resources).map(([logicalId, definition]) => {
        const path = String(definition.Metadata?.['aws:cdk:path'] ?? logicalId);
        return {
          type: definition.Type,
          logicalId,
          path: path.slice(path.indexOf('/') + 1),
          stack,
          definition,
        };
      });
    });
  }

  /** Returns the resources of the given types, in the template's order. */
  ofType(...types: string[]): Resource[] {
    return this.resources.filter((resource) => types.includes(resource.type));
  }

  /** Returns a resource's properties with every reference resolved. The type argument is not checked. */
  properties<T>(resource: Resource): T {
    return this.#resolve(resource.definition.Properties ?? {}, resource.stack) as T;
  }

  /** Returns the result of `Ref` for a resource. */
  ref(resource: Resource): string {
    const override = this.#attributes.get(key(resource, 'Ref'));
    return override ?? this.#name(resource);
  }

  /** Returns the result of `Fn::GetAtt` for a resource. */
  attribute(resource: Resource, name: string): string {
    const override = this.#attributes.get(key(resource, name));
    if (override !== undefined) return override;
    if (name === 'Arn')
      return ARN_OF[resource.type]?.(this.#name(resource)) ?? `arn:aws:::${this.#name(resource)}`;
    if (name === 'StreamArn') return `${this.attribute(resource, 'Arn')}/stream/2026-01-01T00:00:00.000`;
    return `${this.#name(resource)}.${name}`;
  }

  /** Sets the result of `Ref`, or an attribute that only the running stack knows, such as a URL. */
  set(resource: Resource, name: string, value: string): void {
    this.#attributes.set(key(resource, name), value);
  }

  /** Returns the resource that has one of the given types and the given ARN or name. */
  find(arnOrName: string, ...types: string[]): Resource | undefined {
    const names = (resource: Resource) => [
      this.ref(resource),
      this.attribute(resource, 'Arn'),
      this.attribute(resource, 'StreamArn'),
    ];
    return this.ofType(...types).find((resource) => names(resource).includes(arnOrName));
  }

  /** Returns the folder of a function's code, which `cdk deploy` would zip. */
  assetDirectory(resource: Resource): string | undefined {
    const path = resource.definition.Metadata?.['aws:asset:path'];
    return typeof path === 'string' ? resolvePath(this.#directory, path) : undefined;
  }

  /** Returns the physical name of a resource. */
  #name(resource: Resource): string {
    const property = NAME_PROPERTY[resource.type];
    const given = property && resource.definition.Properties?.[property];
    if (given !== undefined) return String(this.#resolve(given, resource.stack));
    if (property === undefined) return resource.logicalId;
    // In names that are too long, the stack's name is truncated. The names stay distinct, because the logical ID ends
    // in a hash.
    const room = MAX_NAME - 1 - this.#suffix.length;
    const id = resource.logicalId.slice(-room);
    return `${resource.stack.name.slice(0, room - id.length)}-${id}${this.#suffix}`.replace(/^-/, '');
  }

  #resolve(value: unknown, stack: Stack): unknown {
    if (Array.isArray(value)) {
      return value.map((item) => this.#resolve(item, stack)).filter((item) => item !== undefined);
    }
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value);
    const [name, argument] = entries[0] ?? [];
    const isIntrinsic = entries.length === 1 && (name === 'Ref' || name?.startsWith('Fn::'));
    if (isIntrinsic) return this.#intrinsic(name as string, argument, stack);
    return Object.fromEntries(entries.map(([key, item]) => [key, this.#resolve(item, stack)]));
  }

  #intrinsic(name: string, argument: unknown, stack: Stack): unknown {
    const text = (value: unknown) => String(this.#resolve(value, stack));
    const list = (value: unknown) => this.#resolve(value, stack) as unknown[];
    switch (name) {
      case 'Ref':
        return this.#refer(String(argument), stack);
      case 'Fn::GetAtt': {
        const [logicalId, attribute] = Array.isArray(argument) ? argument : String(argument).split(/\.(.*)/s);
        return this.attribute(this.#inStack(String(logicalId), stack), String(attribute));
      }
      case 'Fn::Join': {
        const [separator, parts] = argument as [string, unknown];
        return list(parts).join(separator);
      }
      case 'Fn::Split': {
        const [separator, joined] = argument as [string, unknown];
        return text(joined).split(separator);
      }
      case 'Fn::Select': {
        const [index, parts] = argument as [unknown, unknown];
        return list(parts)[Number(index)];
      }
      case 'Fn::Sub': {
        const [pattern, values] = (Array.isArray(argument) ? argument : [argument, {}]) as [string, object];
        const own = this.#resolve(values, stack) as Record<string, unknown>;
        return pattern.replaceAll(/\$\{([^}]+)\}/g, (_, reference: string) => {
          if (reference.startsWith('!')) return `\${${reference.slice(1)}}`;
          if (reference in own) return String(own[reference]);
          const isAttribute = reference.includes('.');
          return String(this.#intrinsic(isAttribute ? 'Fn::GetAtt' : 'Ref', reference, stack));
        });
      }
      case 'Fn::ImportValue':
        return this.#import(text(argument));
      case 'Fn::GetStackOutput': {
        const { StackName, OutputName } = argument as { StackName: unknown; OutputName: string };
        return this.#outputOf(text(StackName), OutputName);
      }
      default:
        throw new Error(`The local runner does not know ${name}, which ${stack.name} uses.`);
    }
  }

  #refer(logicalId: string, stack: Stack): string | undefined {
    if (logicalId === 'AWS::NoValue') return undefined;
    if (logicalId === 'AWS::StackName') return stack.name;
    if (logicalId === 'AWS::StackId') return arn('cloudformation', `stack/${stack.name}/local`);
    return PSEUDO_PARAMETERS[logicalId] ?? this.ref(this.#inStack(logicalId, stack));
  }

  #inStack(logicalId: string, stack: Stack): Resource {
    const found = this.resources.find((item) => item.stack === stack && item.logicalId === logicalId);
    if (found) return found;
    throw new Error(`${stack.name} refers to ${logicalId}, which is not one of its resources.`);
  }

  #outputOf(stackName: string, outputName: string): unknown {
    const stack = this.#stacks().find(({ name }) => name === stackName);
    const output = stack?.template.Outputs?.[outputName];
    if (stack && output) return this.#resolve(output.Value, stack);
    throw new Error(`The stack ${stackName} has no output ${outputName}.`);
  }

  #stacks(): Stack[] {
    return [...new Set(this.resources.map((resource) => resource.stack))];
  }

  #import(exportName: string): unknown {
    for (const stack of this.#stacks()) {
      for (const output of Object.values(stack.template.Outputs ?? {})) {
        const isIt = output.Export && this.#resolve(output.Export.Name, stack) === exportName;
        if (isIt) return this.#resolve(output.Value, stack);
      }
    }
    throw new Error(`No stack exports ${exportName}.`);
  }
}

const key = (resource: Resource, attribute: string) =>
  `${resource.stack.name} ${resource.logicalId} ${attribute}`;
