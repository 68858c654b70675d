import type { EpochMillis } from './expiry.ts';
import { ERASED } from './people.ts';
import type { AccessRecord, ApiKey, HeldKey, MalformedKey } from './records.ts';
import { activeSecrets, isWanted } from './rotation.ts';

/**
 * Returns the reasons why a key belongs to a person: they created the key, they received one of its active secrets, or
 * they last set its trust rules.
 * @param now epoch milliseconds
 * @returns an empty list if the key does not belong to the person
 */
export function reasonsToHold(key: ApiKey | MalformedKey, sub: string, now: EpochMillis): HeldKey['reasons'] {
  // The keys of erased people belong to no one.
  if (sub === ERASED) return [];
  const { createdBy, secrets = [], trustSetBy } = key;
  const hasTrust = 'trust' in key && key.trust !== undefined;
  const isTheirs = {
    created: createdBy === sub,
    secret: activeSecrets({ secrets }, now).some(({ setBy = createdBy }) => setBy === sub),
    trust:
      hasTrust || 'malformed' in key ? (trustSetBy ?? (hasTrust ? createdBy : undefined)) === sub : false,
  };
  return (['created', 'secret', 'trust'] as const).filter((reason) => isTheirs[reason]);
}

/**
 * Reports whether the job must disable a key. The job must disable it if the key is meant to be enabled, unless someone
 * else has enabled it since the person's access was ended, or since it was first ended by calls that share the job.
 */
export function mustBeDisabled(key: ApiKey, { sub, endedAt, job }: AccessRecord): boolean {
  const { at = 0, by = sub } = key.lastEnabled ?? {};
  const isEnabledSince = at > (job.keepsEnabledAfter ?? endedAt) && by !== sub;
  return job.keys === 'disable' && isWanted(key) && !isEnabledSince;
}
