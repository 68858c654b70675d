import { notFound, ServiceError } from './errors.ts';
import type { EpochMillis, EpochSeconds } from './expiry.ts';
import type { Actor, Deployment, SignIn } from './records.ts';

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

/** Replaces the `sub` of an erased person in all items. */
export const ERASED = 'erased';

/** The maximum length of a `sub`, in characters (OpenID Connect Core §2). */
export const MAX_SUB_LENGTH = 255;

/** The maximum length of a person's name, in characters. */
export const MAX_PERSON_NAME_LENGTH = 100;

/**
 * Placeholder for the Deployment in events about people, which do not belong to any Deployment. A real Deployment ID is
 * never empty.
 */
export const OF_PEOPLE = { id: '', generation: '' };

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

/** The ARN of a role or user. The path before the name can be empty. */
const PRINCIPAL =
  /^arn:(?<partition>aws[a-z-]*):iam::(?<account>\d{12}):(?<kind>role|user)\/(?:[\w+=,.@-]+\/)*(?<name>[\w+=,.@-]{1,64})$/;
/** The ARN of an assumed role. Such an ARN omits the role's path. */
const SESSION =
  /^arn:(?<partition>aws[a-z-]*):sts::(?<account>\d{12}):assumed-role\/(?<name>[\w+=,.@-]+)\/[\w+=,.@-]+$/;

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
  const session = SESSION.exec(caller)?.groups ?? {};
  return listed.find((arn) => {
    const { partition, account, kind, name } = PRINCIPAL.exec(arn)?.groups ?? {};
    if (kind === 'user') return arn === caller;
    return (
      kind === 'role' &&
      partition === session.partition &&
      account === session.account &&
      name === session.name
    );
  });
}

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
