import { notFound, ServiceError } from './errors.ts';
import type { EpochMillis, EpochSeconds } from './expiry.ts';
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

/** Tolerated difference between the clocks of the issuer and the service, in milliseconds. */
const TOLERANCE = 5000;

/**
 * Reports whether a sign-in precedes the end of the person's access. For a temporary token, pass the sign-in that
 * created it.
 * @param endedAt undefined if the person's access was never ended
 * @param signedInAt 0 if the time is not known
 */
export function precedesEnd(endedAt: EpochMillis | undefined, signedInAt = 0 as EpochSeconds): boolean {
  return endedAt !== undefined && signedInAt * 1000 <= endedAt + TOLERANCE;
}

/**
 * Returns the cutoff of a sign-in: the service rejects the sign-in if the person's access was ended at this time or later.
 */
export function latestEnd({ at }: SignIn): EpochMillis {
  return at * 1000 - TOLERANCE;
}

/**
 * Placeholder for the Deployment in events about people, which do not belong to any Deployment. A real Deployment ID is
 * never empty.
 */
export const OF_PEOPLE = { id: '', generation: '' };

/**
 * Captures the partition, account, kind and name in the ARN of a role or user. The path before the name can be empty.
 */
const PRINCIPAL = /^arn:(aws[a-z-]*):iam::(\d{12}):(role|user)\/(?:[\w+=,.@-]+\/)*([\w+=,.@-]{1,64})$/;
/**
 * Captures the partition, the account and the role's name in the ARN of an assumed role. Such an ARN omits the role's
 * path.
 */
const SESSION = /^arn:(aws[a-z-]*):sts::(\d{12}):assumed-role\/([\w+=,.@-]+)\/[\w+=,.@-]+$/;

/**
 * Reports whether text is the ARN of a single IAM role or user, without wildcards, and can therefore take the place of
 * a `sub`.
 */
export const isPrincipalArn = (text: string): boolean => PRINCIPAL.test(text) && isSub(text);

/**
 * Finds the caller's role or user in the list. A user's ARN must match exactly. A session belongs to the role with the
 * same partition, account and name, because an account cannot have two roles with the same name, even under different
 * paths.
 * @param caller ARN as API Gateway reports it: the ARN of a user, or `arn:aws:sts::…:assumed-role/name/session`
 * @returns the listed ARN; undefined for any other caller, such as the root user or a federated user
 */
export function listedPrincipal(caller: string, listed: readonly string[]): string | undefined {
  const [, ...session] = SESSION.exec(caller) ?? [];
  return listed.find((arn) => {
    const [, partition, account, kind, name] = PRINCIPAL.exec(arn) ?? [];
    if (kind === 'user') return arn === caller;
    return kind === 'role' && [partition, account, name].every((part, at) => part === session[at]);
  });
}
