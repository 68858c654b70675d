import { isSub } from './people.ts';

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
