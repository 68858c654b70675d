import { createHash, randomBytes } from 'node:crypto';
import type { Permissions } from '../aws/iam.ts';
import { type Credential, verify } from '../aws/sigv4.ts';
import type { Clock } from '../clock.ts';
import { ACCOUNT, REGION } from '../template.ts';
import type { Authorizer, Decision } from './authorizers.ts';
import { type GatewayRequest, message } from './gateway.ts';
import type { HttpApiEvent } from './http-api.ts';

/** An IAM user or a role's session, and the credential with which it signs. */
export interface Identity extends Credential {
  /** `arn:aws:iam::…:user/name` or `arn:aws:sts::…:assumed-role/name/session` */
  readonly arn: string;
  /** What it may do. @default everything, as an account's administrator may */
  readonly permissions?: Permissions;
}

/** As whom `npm start` lets one call under /platform. It is no secret: the gateway serves this machine alone. */
export const DEVELOPER: Identity = {
  arn: `arn:aws:iam::${ACCOUNT}:user/developer`,
  accessKeyId: 'LOCAL000000DEVELOPER',
  secretAccessKey: 'local-development-only',
};

/** The IAM principals of the imitated account that have credentials. */
export class Identities {
  readonly #all = new Map<string, Identity>([[DEVELOPER.accessKeyId, DEVELOPER]]);

  add(identity: Identity): void {
    this.#all.set(identity.accessKeyId, identity);
  }

  /** A new credential of a user, or of a role's session: that one is temporary and has a session token. */
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

export interface IamAuthorizerOptions {
  readonly identities: Identities;
  /** ARN of the API, to which a stage, method and path are added. */
  readonly apiArn: string;
  readonly clock: Clock;
}

/** What HTTP APIs do on a route with AWS_IAM: the signature, and what the caller's own policies allow. */
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

/** What the function is told of the caller. A session's ID is its role's, and its name. */
function contextOf({ arn, accessKeyId }: Identity) {
  const [, kind = '', name = '', session] = /:(user|assumed-role)\/([^/]+)(?:\/(.+))?$/.exec(arn) ?? [];
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

/** IDs of IAM stay the same, and are of capital letters and digits. */
const sixteen = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 16).toUpperCase();
