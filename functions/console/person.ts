import type { Config } from './config.ts';

/** The signed-in person. */
export interface Person {
  /** The display name. */
  name: string;
  /** The `sub` that keys, tokens and events record as their creator. */
  sub: string;
  groups: readonly string[];
  isAdministrator: boolean;
}

/** Identifies a person by `sub`, and by name if the service knows it. */
export interface NamedPerson {
  sub: string;
  name?: string | undefined;
}

type Claims = Record<string, unknown>;

/**
 * Reads the person from an access token, following the API's rules. The console uses this only to choose which actions
 * to show; the API authorizes every call itself.
 * @param accessToken a JWT; for any other token, the groups stay empty
 * @param identity claims of the ID token
 */
export function personOf(accessToken: string, identity: Claims, { people }: Pick<Config, 'people'>): Person {
  const claims = claimsOf(accessToken);
  const groups = textsOf(claims[people.groupsClaim]);
  const scopes = typeof claims.scope === 'string' ? claims.scope.split(' ') : textsOf(claims.scp);
  const has = (list: readonly string[], wanted: string | undefined) =>
    wanted !== undefined && list.includes(wanted);
  return {
    name: String(identity.name ?? identity.email ?? identity.preferred_username ?? identity.sub),
    sub: String(claims.sub ?? identity.sub),
    groups,
    isAdministrator: has(groups, people.adminGroup) || has(scopes, people.adminScope),
  };
}

function claimsOf(jwt: string): Claims {
  try {
    const payload = (jwt.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

const textsOf = (claim: unknown): string[] =>
  Array.isArray(claim) ? claim.filter((one) => typeof one === 'string') : [];
