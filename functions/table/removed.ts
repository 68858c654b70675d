import type { DynamoDBRecord } from 'aws-lambda';
import { isDeploymentId, isUlid } from '../domain/identifiers.ts';
import { PARTITION, SORT } from './schema.ts';

/** A Deployment that was removed, or a key of it. */
export interface RemovedThing {
  deploymentId: string;
  generation: string;
  /** The removed key; undefined for a removed Deployment. */
  keyUlid: string | undefined;
}

/**
 * What a REMOVE record of the stream says.
 * @throws Error without content, for a record of another kind or a damaged image: it cannot be worked on, and ends
 *   in the failure queue
 */
export function removedThing({ eventName, dynamodb }: DynamoDBRecord): RemovedThing {
  const pk = dynamodb?.Keys?.pk?.S ?? '';
  const sk = dynamodb?.Keys?.sk?.S ?? '';
  const generation = dynamodb?.OldImage?.generation?.S ?? '';
  const deploymentId = pk.slice(PARTITION.deployment('').length);
  const keyUlid = sk === SORT.deployment ? undefined : sk.slice(SORT.key.length);

  const isRemoval = eventName === 'REMOVE';
  const isOfDeployment = pk === PARTITION.deployment(deploymentId) && isDeploymentId(deploymentId);
  const isKey = keyUlid !== undefined && sk.startsWith(SORT.key) && isUlid(keyUlid);
  if (!isRemoval || !isOfDeployment || !isUlid(generation) || !(keyUlid === undefined || isKey)) {
    throw new Error('not a record of a removed Deployment or key');
  }
  return { deploymentId, generation, keyUlid };
}
