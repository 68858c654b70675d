import { isSub } from './people.ts';

/** Captures partition, account, kind and name. The path before the name may be empty. */
const PRINCIPAL = /^arn:(aws[a-z-]*):iam::(\d{12}):(role|user)\/(?:[\w+=,.@-]+\/)*([\w+=,.@-]{1,64})$/;
/** Captures partition, account and role name of an assumed role, whose ARN has no path. */
const SESSION = /^arn:(aws[a-z-]*):sts::(\d{12}):assumed-role\/([\w+=,.@-]+)\/[\w+=,.@-]+$/;

/** Reports whether text is the ARN of one IAM role or user, without a wildcard, that can stand for a `sub`. */
export const isPrincipalArn = (text: string): boolean => PRINCIPAL.test(text) && isSub(text);

/**
 * Finds the listed role or user that a caller is. A user's ARN must match exactly. A session belongs to the role with
 * the same partition, account and name, because an account cannot have two roles of one name, even under different
 * paths.
 * @param caller ARN as API Gateway reports it: of a user, or `arn:aws:sts::…:assumed-role/name/session`
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
