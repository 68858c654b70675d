import { createHash } from 'node:crypto';
import type { GatewayResponse } from './gateway.ts';

/** The types of gateway response that the emulator sends, each with its status and the error type in its header. */
const KINDS = {
  UNAUTHORIZED: [401, 'UnauthorizedException'],
  ACCESS_DENIED: [403, 'AccessDeniedException'],
  MISSING_AUTHENTICATION_TOKEN: [403, 'MissingAuthenticationTokenException'],
  REQUEST_TOO_LARGE: [413, 'RequestTooLargeException'],
  AUTHORIZER_CONFIGURATION_ERROR: [500, 'AuthorizerConfigurationException'],
  INTEGRATION_FAILURE: [502, 'InternalServerErrorException'],
} as const;

export type ResponseKind = keyof typeof KINDS;

/** An AWS::ApiGateway::GatewayResponse in the template. */
export interface GatewayResponseProperties {
  readonly ResponseType: string;
  readonly StatusCode?: string;
  readonly ResponseParameters?: Readonly<Record<string, string>>;
  readonly ResponseTemplates?: Readonly<Record<string, string>>;
}

/** The responses that a REST API itself sends, as customised by its gateway responses. */
export class RestResponses {
  readonly #own: readonly GatewayResponseProperties[];

  /**
   * Reads the gateway responses.
   * @throws Error for a header that is not a constant and for a custom body, because neither is emulated
   */
  constructor(own: readonly GatewayResponseProperties[]) {
    this.#own = own;
    for (const { ResponseType, ResponseParameters = {}, ResponseTemplates } of own) {
      const isConstant = Object.entries(ResponseParameters).every(
        ([name, value]) => HEADER.test(name) && CONSTANT.test(value),
      );
      if (!isConstant || ResponseTemplates) {
        throw new Error(`Of the gateway response ${ResponseType} only constant headers run locally.`);
      }
    }
  }

  /**
   * Builds a response of the given type. @param message the message; null for the response that API Gateway sends when
   * an authorizer failed
   */
  answer(kind: ResponseKind, message: string | null, errorType: string = KINDS[kind][1]): GatewayResponse {
    const [status] = KINDS[kind];
    const own = this.#of(kind) ?? this.#of(status < 500 ? 'DEFAULT_4XX' : 'DEFAULT_5XX');
    const headers = Object.entries(own?.ResponseParameters ?? {}).map(
      ([name, value]) =>
        [HEADER.exec(name)?.[1]?.toLowerCase() ?? '', CONSTANT.exec(value)?.[1] ?? ''] as const,
    );
    return {
      status: Number(own?.StatusCode ?? status),
      headers: [['content-type', 'application/json'], ['x-amzn-errortype', errorType], ...headers],
      // Only an authorizer's denial spells `Message` with a capital letter.
      body: JSON.stringify(kind === 'ACCESS_DENIED' ? { Message: message } : { message }),
    };
  }

  /**
   * Builds the response to an unknown path or method. API Gateway interprets the Authorization header of such a request
   * as a signature. The message in the response contains a hash of the header.
   *
   * @param authorization value of the header, or '' if there is no header
   */
  unknownMethod(authorization: string): GatewayResponse {
    const kind = 'MISSING_AUTHENTICATION_TOKEN';
    if (authorization === '') return this.answer(kind, 'Missing Authentication Token');
    const hash = createHash('sha256').update(authorization).digest('base64');
    return this.answer(
      kind,
      `Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '${hash}'.`,
      'IncompleteSignatureException',
    );
  }

  /** Builds the response for a stage that the API does not have. Gateway responses do not affect this response. */
  forbidden(): GatewayResponse {
    return {
      status: 403,
      headers: [
        ['content-type', 'application/json'],
        ['x-amzn-errortype', 'ForbiddenException'],
      ],
      body: JSON.stringify({ message: 'Forbidden' }),
    };
  }

  #of(type: string): GatewayResponseProperties | undefined {
    return this.#own.find(({ ResponseType }) => ResponseType === type);
  }
}

const HEADER = /^gatewayresponse\.header\.([\w-]+)$/;
const CONSTANT = /^'([^']*)'$/;
