import { notFound, ServiceError } from './errors.ts';
import type { Deployment } from './records.ts';

/** How to recognise administrators, and which claim holds a person's groups. */
export interface PeopleConfig {
  groupsClaim: string;
  adminGroup: string | undefined;
  adminScope: string | undefined;
}

/** The caller of a management operation: a signed-in person, or an IAM principal that the stack lists. */
export interface Person {
  /** `sub` of the person's verified access token, or the principal's ARN. */
  sub: string;
  groups: readonly string[];
  isAdministrator: boolean;
}

/** The maximum length of a `sub`, in characters (OpenID Connect Core §2). */
export const MAX_SUB_LENGTH = 255;

/** Reports whether text can be a person's `sub`: 1 to 255 printable ASCII characters. */
export function isSub(text: string): boolean {
  return text.length <= MAX_SUB_LENGTH && /^[\x20-\x7e]+$/.test(text);
}

/** Reports whether a person may see a Deployment: administrators see all, members see those of their groups. */
export function maySee(person: Person, { groups }: Pick<Deployment, 'groups'>): boolean {
  return person.isAdministrator || groups.some((group) => person.groups.includes(group));
}

/**
 * Returns the Deployment if the person may see it.
 * @throws ServiceError 404 when it is absent or the person may not see it, with the same answer in both cases
 */
export function visibleTo(person: Person, deployment: Deployment | undefined): Deployment {
  if (!deployment || !maySee(person, deployment)) throw notFound('Deployment');
  return deployment;
}

/**
 * Rejects anyone who is not an administrator. Only administrators register, change and delete Deployments.
 * @throws ServiceError 403; 404 when the person may not see the Deployment
 */
export function requireAdministrator(person: Person, deployment: Deployment | undefined): void {
  if (person.isAdministrator) return;
  visibleTo(person, deployment);
  throw new ServiceError(403, 'forbidden', 'Only an administrator may do this.');
}
