import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceEvent } from '../functions/domain/events.ts';
import type { EpochSeconds } from '../functions/domain/expiry.ts';
import { OF_PEOPLE, typedActor } from '../functions/domain/people.ts';

/**
 * Reads events that were archived outside the table. The files contain JSON objects one after the other, with or
 * without separators, which is how Firehose writes events from EventBridge. Each object is either an EventBridge event
 * or just the CloudEvent from inside it.
 *
 * @param path a file, or a folder with files at any depth
 * @returns the events by Deployment ID
 * @throws Error that names the file if the file contains anything else
 */
export function readArchive(path: string): Map<string, ServiceEvent[]> {
  if (!existsSync(path)) throw new Error(`--archive ${path} does not exist.`);
  const files = statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort()
    : [path];
  const byDeployment = new Map<string, ServiceEvent[]>();
  for (const file of files) {
    for (const event of eventsIn(file)) {
      const ofDeployment = byDeployment.get(event.deploymentId) ?? [];
      byDeployment.set(event.deploymentId, ofDeployment);
      ofDeployment.push(event);
    }
  }
  return byDeployment;
}

function eventsIn(file: string): ServiceEvent[] {
  try {
    return objectsIn(readFileSync(file, 'utf8')).map((text) => eventOf(JSON.parse(text)));
  } catch (error) {
    throw new Error(`${file} is not an archive of events: ${error instanceof Error ? error.message : error}`);
  }
}

/** Splits a string into its outermost JSON objects. */
function objectsIn(text: string): string[] {
  const objects: string[] = [];
  let depth = 0;
  let begin = 0;
  // Match strings too, so that braces inside strings are not counted.
  for (const { 0: found, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (found === '{' && depth++ === 0) begin = index;
    if (found === '}' && --depth === 0) objects.push(text.slice(begin, index + 1));
  }
  if (depth !== 0) throw new Error('the file ends in the middle of an object.');
  return objects;
}

// biome-ignore lint/suspicious/noExplicitAny: this function validates the object.
function eventOf(object: any): ServiceEvent {
  const { specversion, id, type, time, data } = object.detail ?? object;
  const ofNone = String(type).startsWith('person.') ? OF_PEOPLE : undefined;
  const { deploymentId = ofNone?.id, generation = ofNone?.generation, actor, ...rest } = data ?? {};
  const createdAt = Date.parse(time);
  const isEvent =
    specversion === '1.0' &&
    [id, type, deploymentId, generation].every((it) => typeof it === 'string') &&
    Number.isFinite(createdAt);
  if (!isEvent) throw new Error('it contains an object that is not an event of this service.');
  const { principal = '', address = '', requestId = '', type: actorType } = actor ?? {};
  const typed = typedActor({ principal, address, requestId, type: actorType }, type);
  return {
    id,
    type,
    deploymentId,
    generation,
    actor: typed,
    createdAt,
    data: rest,
    expiresAt: 0 as EpochSeconds,
  };
}
