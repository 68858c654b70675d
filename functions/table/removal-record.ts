import type { DynamoDBRecord } from 'aws-lambda';
import { isDeploymentId, isUlid } from '../domain/identifiers.ts';
import * as PARTITION from './partition-keys.ts';
import * as SORT from './sort-keys.ts';

/** A deleted Deployment or key. */
export interface Removal {
  deploymentId: string;
  generation: string;
  /** ULID of the deleted key; undefined for a deleted Deployment. */
  keyUlid: string | undefined;
}

/**
 * Returns the Deployment or key that a REMOVE record of the stream describes.
 * @throws Error for any other record, and for a malformed record, which then goes to the dead-letter queue; the message
 *   does not contain any part of the record
 */
export function removalOf({ eventName, dynamodb }: DynamoDBRecord): Removal {
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
