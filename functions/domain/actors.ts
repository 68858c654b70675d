import { isPrincipalArn } from './principals.ts';
import type { Actor } from './records.ts';

/** What the service does by itself: its jobs, and the retirement of a secret by an exchange of the newer one. */
const JOBS = ['exchange', 'purge', 'restore', 'source', 'sweep'] as const;

/** The actor of what a job of the service does by itself. */
export function systemActor(job: (typeof JOBS)[number]): Actor {
  return { principal: job, type: 'system', address: '', requestId: '' };
}

/**
 * An actor as an event holds it, with its type. Events of earlier versions have none: there, only a job has no address,
 * and only the reporter of a leak is anonymous.
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
