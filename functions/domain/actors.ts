import { isPrincipalArn } from './people.ts';
import type { Actor } from './records.ts';

/** Parts of the service that act without a caller: the jobs, the operator's commands, and an exchange that retires an old secret. */
const JOBS = [
  'end-access',
  'end-tokens',
  'erase-person',
  'exchange',
  'purge',
  'restore',
  'source',
  'sweep',
] as const;

/** Returns the actor for an action that one of the service's jobs performs without a caller. */
export function systemActor(job: (typeof JOBS)[number]): Actor {
  return { principal: job, type: 'system', address: '', requestId: '' };
}

/**
 * Returns the actor of an event, with the actor's type filled in. Events written by earlier versions have no type. In
 * such events, only a job has an empty address, and only the reporter of a leak is anonymous.
 */
export function typedActor(actor: Omit<Actor, 'type'> & { type?: Actor['type'] }, eventType: string): Actor {
  return { ...actor, type: actor.type ?? untypedActorType(actor, eventType) };
}

function untypedActorType(
  { principal, address }: Pick<Actor, 'principal' | 'address'>,
  eventType: string,
): Actor['type'] {
  if (address === '' && (JOBS as readonly string[]).includes(principal)) return 'system';
  if (principal === 'anonymous' && eventType.endsWith('.leaked')) return 'anonymous';
  return isPrincipalArn(principal) ? 'iam' : 'person';
}
