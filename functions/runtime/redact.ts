/** Secrets and tokens of ours, JWTs, and the credentials of an Authorization header. */
const SECRETS = /\b(dk[stx])_[A-Za-z0-9_-]+|\b(eyJ)[\w-]+(?:\.[\w-]*)+|\b(Basic|Bearer) +[^\s",]+/gi;

/** The text with whatever looks like a credential cut down to its kind. The last line of defence of the log. */
export function redact(text: string): string {
  return text.replace(SECRETS, (_, ours, jwt, scheme) => `${ours ?? jwt ?? scheme}…`);
}
