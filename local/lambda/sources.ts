import { assertInvokable, type Permissions } from '../aws/iam.ts';
import type { Queue } from '../aws/sqs.ts';
import type { Clock } from '../clock.ts';
import type { LocalTable } from '../dynamodb/engine.ts';
import type { TimeToLive } from '../dynamodb/ttl.ts';
import type { Resource, Template } from '../template.ts';
import { type QueueMapping, QueueSource } from './queue-source.ts';
import { Schedule } from './schedule.ts';
import { type Checkpoints, type StreamMapping, StreamSource } from './stream.ts';
import type { LocalFunction } from './worker-pool.ts';

interface MappingProperties extends StreamMapping, QueueMapping {
  readonly EventSourceArn: string;
  readonly FunctionName: string;
  readonly Enabled?: boolean;
  readonly DestinationConfig?: { readonly OnFailure?: { readonly Destination: string } };
}

interface RuleProperties {
  ScheduleExpression?: string;
  State?: string;
  Targets?: { Arn: string; Input?: string }[];
}

/** The components that the template's event sources depend on. */
export interface SourceParts {
  readonly template: Template;
  readonly endpoint: string;
  readonly clock: Clock;
  readonly tables: readonly { resource: Resource; table: LocalTable; ttl: TimeToLive }[];
  readonly queues: readonly Queue[];
  readonly functionOf: (arn: string) => LocalFunction;
  readonly permissionsOf: (target: LocalFunction) => Permissions;
  /** Returns the checkpoints of a mapping. @param mapping logical ID of the mapping */
  readonly checkpoints: (mapping: string) => Checkpoints;
  readonly log: (line: string) => void;
}

const STREAM_ACTIONS = ['DescribeStream', 'GetRecords', 'GetShardIterator', 'ListStreams'];
const QUEUE_ACTIONS = ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes'];

/**
 * Creates the template's event source mappings and schedules. Throws an Error if the template contains anything that is
 * not emulated or not permitted.
 */
export function createSources(parts: SourceParts): {
  streams: StreamSource[];
  queues: QueueSource[];
  schedules: Schedule[];
} {
  const { template } = parts;
  const streams: StreamSource[] = [];
  const queues: QueueSource[] = [];
  for (const resource of template.ofType('AWS::Lambda::EventSourceMapping')) {
    const properties = template.properties<MappingProperties>(resource);
    if (properties.Enabled === false) continue;
    const target = functionNamed(parts, properties.FunctionName);
    const queue = parts.queues.find((item) => item.arn === properties.EventSourceArn);
    if (queue) {
      assertAllowed(
        parts,
        target,
        QUEUE_ACTIONS.map((action) => `sqs:${action}`),
        queue.arn,
      );
      queues.push(new QueueSource(queue, properties, target));
    } else {
      streams.push(...streamSource(parts, resource, properties, target));
    }
  }
  return { streams, queues, schedules: createSchedules(parts) };
}

/** Returns an empty list if the stack was started without the table's stream. */
function streamSource(
  parts: SourceParts,
  resource: Resource,
  mapping: MappingProperties,
  target: LocalFunction,
): StreamSource[] {
  const { template, endpoint, clock, log } = parts;
  const streamArn = mapping.EventSourceArn;
  const source = parts.tables.find((item) => template.attribute(item.resource, 'StreamArn') === streamArn);
  if (!source) throw new Error(`${resource.path} reads ${streamArn}, which no table or queue here has.`);
  const { table, ttl } = source;
  if (table.engineStreamArn === undefined) return [];

  assertAllowed(
    parts,
    target,
    STREAM_ACTIONS.map((action) => `dynamodb:${action}`),
    streamArn,
  );
  const destination = mapping.DestinationConfig?.OnFailure?.Destination;
  const onFailure = parts.queues.find((queue) => queue.arn === destination);
  if (onFailure) assertAllowed(parts, target, ['sqs:SendMessage'], onFailure.arn);
  return [
    new StreamSource({
      endpoint,
      engineStreamArn: table.engineStreamArn,
      streamArn,
      mapping,
      function: target,
      onFailure,
      checkpoints: parts.checkpoints(resource.logicalId),
      complete: ttl.complete,
      drift: () => clock.drift,
      now: clock.now,
      log,
    }),
  ];
}

function createSchedules(parts: SourceParts): Schedule[] {
  const { template, clock } = parts;
  return template.ofType('AWS::Events::Rule').flatMap((rule) => {
    const { ScheduleExpression, State, Targets = [] } = template.properties<RuleProperties>(rule);
    if (ScheduleExpression === undefined || State === 'DISABLED') return [];
    const ruleArn = template.attribute(rule, 'Arn');
    const targets = Targets.map(({ Arn, Input }) => {
      const target = template.find(Arn, 'AWS::Lambda::Function');
      if (!target) throw new Error(`${rule.path} wants ${Arn}, which is no function of the stack.`);
      assertInvokable(template, target, 'events.amazonaws.com', ruleArn);
      return { function: parts.functionOf(Arn), input: Input };
    });
    return [new Schedule(rule.path, ruleArn, ScheduleExpression, targets, clock)];
  });
}

function functionNamed(parts: SourceParts, nameOrArn: string): LocalFunction {
  const resource = parts.template.find(nameOrArn, 'AWS::Lambda::Function');
  if (!resource) throw new Error(`An event source wants ${nameOrArn}, which is no function of the stack.`);
  return parts.functionOf(parts.template.attribute(resource, 'Arn'));
}

/**
 * Checks the permissions of the function's role. Lambda reads a source with that role, and CloudFormation rejects the
 * mapping if the role lacks a permission.
 */
function assertAllowed(parts: SourceParts, target: LocalFunction, actions: string[], resource: string): void {
  const permissions = parts.permissionsOf(target);
  const missing = actions.filter((action) => permissions.refusal(action, resource));
  if (missing.length > 0)
    throw new Error(`The role of ${target.name} lacks ${missing.join(', ')} on ${resource}.`);
}
