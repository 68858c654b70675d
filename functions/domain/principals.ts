import { isSub } from './people.ts';

/** Partition, account, kind and name; the path before the name may be empty. */
const PRINCIPAL = /^arn:(aws[a-z-]*):iam::(\d{12}):(role|user)\/(?:[\w+=,.@-]+\/)*([\w+=,.@-]{1,64})$/;
/** Partition, account and role's name of who has assumed a role: its ARN has no path. */
const SESSION = /^arn:(aws[a-z-]*):sts::(\d{12}):assumed-role\/([\w+=,.@-]+)\/[\w+=,.@-]+$/;

/** Reports whether text is the ARN of one IAM role or user, without a wildcard, that can stand for a `sub`. */
export const isPrincipalArn = (text: string): boolean => PRINCIPAL.test(text) && isSub(text);

/**
 * Which of the listed roles and users a caller is. A user's ARN must be the same. A session is its role's by
 * partition, account and name: IAM lets a name be used once in an account, whatever the path.
 * @param caller ARN as API Gateway tells it: of a user, or `arn:aws:sts::…:assumed-role/name/session`
 * @returns the ARN as it is listed; undefined for anybody else: the root user, a federated user, what is no ARN
 */
export function listedPrincipal(caller: string, listed: readonly string[]): string | undefined {
  const [, ...session] = SESSION.exec(caller) ?? [];
  return listed.find((arn) => {
    const [, partition, account, kind, name] = PRINCIPAL.exec(arn) ?? [];
    if (kind === 'user') return arn === caller;
    return kind === 'role' && [partition, account, name].every((part, at) => part === session[at]);
  });
}
