import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { typedActor } from '../functions/domain/actors.ts';
import type { ServiceEvent } from '../functions/domain/events.ts';

/**
 * Events that were kept outside of the table: files of JSON, one object after the other, with or without anything
 * between them, as Firehose writes what EventBridge gives it. Each is an EventBridge event or the CloudEvent in it.
 *
 * @param path a file, or a folder with files at any depth
 * @returns the events by the ID of their Deployment
 * @throws Error that names the file with something else in it
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

/** Cuts a text into its outermost objects. */
function objectsIn(text: string): string[] {
  const objects: string[] = [];
  let depth = 0;
  let begin = 0;
  // A string, in which braces count for nothing; or a brace.
  for (const { 0: found, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (found === '{' && depth++ === 0) begin = index;
    if (found === '}' && --depth === 0) objects.push(text.slice(begin, index + 1));
  }
  if (depth !== 0) throw new Error('it ends in the middle of an object.');
  return objects;
}

// biome-ignore lint/suspicious/noExplicitAny: it is judged here what it is.
function eventOf(object: any): ServiceEvent {
  const { specversion, id, type, time, data } = object.detail ?? object;
  const { deploymentId, generation, actor, ...rest } = data ?? {};
  const createdAt = Date.parse(time);
  const isEvent =
    specversion === '1.0' &&
    [id, type, deploymentId, generation].every((it) => typeof it === 'string') &&
    Number.isFinite(createdAt);
  if (!isEvent) throw new Error('one of its objects is no event of this service.');
  const { principal = '', address = '', requestId = '', type: actorType } = actor ?? {};
  const typed = typedActor({ principal, address, requestId, type: actorType }, type);
  return { id, type, deploymentId, generation, actor: typed, createdAt, data: rest, expiresAt: 0 };
}
