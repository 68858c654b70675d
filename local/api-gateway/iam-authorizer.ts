import { createHash, randomBytes } from 'node:crypto';
import type { Permissions } from '../aws/iam.ts';
import { type AwsCredentials, verify } from '../aws/sigv4.ts';
import type { Clock } from '../clock.ts';
import { ACCOUNT, REGION } from '../template.ts';
import type { Authorizer, Decision } from './authorizers.ts';
import { type GatewayRequest, message } from './gateway.ts';
import type { HttpApiEvent } from './http-api-event.ts';

/** An IAM user or a role session, with its signing credential. */
export interface Identity extends AwsCredentials {
  /** ARN of the principal: `arn:aws:iam::…:user/name` or `arn:aws:sts::…:assumed-role/name/session`. */
  readonly arn: string;
  /** The principal's own permissions. @default all permissions, as an administrator of the account has */
  readonly permissions?: Permissions;
}

/**
 * The principal that developers use for calls to `/platform` under `npm start`. Its key does not have to be secret,
 * because the gateway serves only this machine.
 */
export const DEVELOPER: Identity = {
  arn: `arn:aws:iam::${ACCOUNT}:user/developer`,
  accessKeyId: 'LOCAL000000DEVELOPER',
  secretAccessKey: 'local-development-only',
};

/** The emulated account's IAM principals that have credentials. */
export class Identities {
  readonly #all = new Map<string, Identity>([[DEVELOPER.accessKeyId, DEVELOPER]]);

  add(identity: Identity): void {
    this.#all.set(identity.accessKeyId, identity);
  }

  /**
   * Creates a credential for a user or for a role session. A session's credential is temporary and has a session
   * token.
   */
  make(arn: string): Identity {
    const accessKeyId = randomBytes(8).toString('hex').toUpperCase();
    const secretAccessKey = randomBytes(20).toString('hex');
    const isSession = arn.includes(':assumed-role/');
    const identity = isSession
      ? {
          arn,
          accessKeyId: `ASIA${accessKeyId}`,
          secretAccessKey,
          sessionToken: randomBytes(20).toString('hex'),
        }
      : { arn, accessKeyId: `AKIA${accessKeyId}`, secretAccessKey };
    this.add(identity);
    return identity;
  }

  find = (accessKeyId: string): Identity | undefined => this.#all.get(accessKeyId);
}

/** The settings of an IAM authorizer. */
export interface IamAuthorizerOptions {
  readonly identities: Identities;
  /** ARN of the API, without the stage, method and path. */
  readonly apiArn: string;
  readonly clock: Clock;
}

/** Emulates AWS_IAM authorization for HTTP APIs: verifies the signature, and then checks the caller's own policies. */
export class IamAuthorizer implements Authorizer {
  readonly #options: IamAuthorizerOptions;

  constructor(options: IamAuthorizerOptions) {
    this.#options = options;
  }

  async decide(event: HttpApiEvent, _scopes: readonly string[], request: GatewayRequest): Promise<Decision> {
    const { identities, apiArn, clock } = this.#options;
    const caller = await verify(request, {
      service: 'execute-api',
      region: REGION,
      now: clock.now(),
      find: identities.find,
    });
    const { stage, http } = event.requestContext;
    const resource = `${apiArn}/${stage}/${http.method}${event.rawPath}`;
    const isRefused = !caller || caller.permissions?.refusal('execute-api:Invoke', resource) !== undefined;
    return isRefused ? { refusal: message(403, 'Forbidden') } : { context: { iam: contextOf(caller) } };
  }
}

/**
 * Builds the information about the caller for the function's event. A session's ID consists of its role's ID and the
 * session's name.
 */
function contextOf({ arn, accessKeyId }: Identity) {
  const {
    kind = '',
    name = '',
    session,
  } = /:(?<kind>user|assumed-role)\/(?<name>[^/]+)(?:\/(?<session>.+))?$/.exec(arn)?.groups ?? {};
  const id = `${kind === 'user' ? 'AIDA' : 'AROA'}${sixteen(`${kind}/${name}`)}`;
  const callerId = kind === 'user' ? id : `${id}:${session}`;
  return {
    accessKey: accessKeyId,
    accountId: ACCOUNT,
    callerId,
    cognitoIdentity: null,
    principalOrgId: null,
    userArn: arn,
    userId: callerId,
  };
}

/** IAM IDs are stable and consist of capital letters and digits. */
const sixteen = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 16).toUpperCase();
