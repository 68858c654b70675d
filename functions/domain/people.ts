import { notFound, ServiceError } from './errors.ts';
import type { Deployment } from './records.ts';

/** Who is an administrator, and where a person's groups stand. */
export interface PeopleConfig {
  groupsClaim: string;
  adminGroup: string | undefined;
  adminScope: string | undefined;
}

/** Who makes a management call: a signed-in person, or an IAM principal that the stack lists. */
export interface Person {
  /** `sub` of the person's verified access token, or the principal's ARN. */
  sub: string;
  groups: readonly string[];
  isAdministrator: boolean;
}

/** Longest `sub`, in characters (OpenID Connect Core §2). */
export const MAX_SUB_LENGTH = 255;

/** Reports whether text can be a person's `sub`: 1 to 255 printable ASCII characters. */
export function isSub(text: string): boolean {
  return text.length <= MAX_SUB_LENGTH && /^[\x20-\x7e]+$/.test(text);
}

/** An administrator sees every Deployment, a member of one of its groups sees that one. */
export function maySee(person: Person, { groups }: Pick<Deployment, 'groups'>): boolean {
  return person.isAdministrator || groups.some((group) => person.groups.includes(group));
}

/**
 * The Deployment, for a person who may see it.
 * @throws ServiceError 404 when it is absent, and just so when the person may not see it
 */
export function visibleTo(person: Person, deployment: Deployment | undefined): Deployment {
  if (!deployment || !maySee(person, deployment)) throw notFound('Deployment');
  return deployment;
}

/**
 * Only administrators register, change and delete Deployments.
 * @throws ServiceError 403; 404 where the person may not even know whether the Deployment is there
 */
export function requireAdministrator(person: Person, deployment: Deployment | undefined): void {
  if (person.isAdministrator) return;
  visibleTo(person, deployment);
  throw new ServiceError(403, 'forbidden', 'Only an administrator may do this.');
}
