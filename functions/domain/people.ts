import { notFound, ServiceError } from './errors.ts';
import type { Deployment, SignIn } from './records.ts';

/** Settings that say how to recognise administrators, and which claim holds a person's groups. */
export interface PeopleConfig {
  /** The issuer that signs people in. */
  issuer: string;
  groupsClaim: string;
  adminGroup: string | undefined;
  adminScope: string | undefined;
  /** The claim with a person's name; undefined if the stack stores no names. */
  nameClaim?: string | undefined;
}

/** The caller of a management operation: a signed-in person, or an IAM principal that the stack lists. */
export interface Person {
  /** `sub` of the person's verified access token, or the principal's ARN. */
  sub: string;
  /** The person's name; undefined if the stack stores no names, or if the access token has none. */
  name?: string | undefined;
  groups: readonly string[];
  isAdministrator: boolean;
  /** The person's sign-in; undefined for an IAM principal, because IAM ends the access of principals. */
  signIn: SignIn | undefined;
}

/** The maximum length of a `sub`, in characters (OpenID Connect Core §2). */
export const MAX_SUB_LENGTH = 255;

/** The maximum length of a person's name, in characters. */
export const MAX_PERSON_NAME_LENGTH = 100;

/** Reports whether text is a well-formed `sub` of a person: 1 to 255 printable ASCII characters. */
export function isSub(text: string): boolean {
  return text.length <= MAX_SUB_LENGTH && /^[\x20-\x7e]+$/.test(text);
}

/**
 * Reports whether a person is allowed to see a Deployment. Administrators see every Deployment; members see the
 * Deployments of their groups.
 */
export function maySee(person: Person, { groups }: Pick<Deployment, 'groups'>): boolean {
  return person.isAdministrator || groups.some((group) => person.groups.includes(group));
}

/**
 * Returns the Deployment if the person is allowed to see it.
 * @throws ServiceError 404 if the Deployment does not exist or the person is not allowed to see it; the response is the
 * same in both cases
 */
export function visibleTo(person: Person, deployment: Deployment | undefined): Deployment {
  if (!deployment || !maySee(person, deployment)) throw notFound('Deployment');
  return deployment;
}

/**
 * Rejects anyone who is not an administrator. Only administrators can register, change and delete Deployments.
 * @throws ServiceError 403; 404 if the person is not allowed to see the Deployment
 */
export function requireAdministratorOf(person: Person, deployment: Deployment | undefined): void {
  if (!person.isAdministrator) visibleTo(person, deployment);
  requireAdministrator(person);
}

/** Rejects anyone who is not an administrator. @throws ServiceError 403 */
export function requireAdministrator({ isAdministrator }: Person): void {
  if (isAdministrator) return;
  throw new ServiceError(403, 'forbidden', 'Only an administrator may do this.');
}
