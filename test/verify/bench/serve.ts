import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { betterAuth } from './peers.ts';
import {
  apiEvent,
  authorizerEvent,
  builtEntries,
  functionEnvironment,
  handlerOf,
  lambdaContext,
} from './setup.ts';

/**
 * Runs one contender in its own process, behind the same node:http server. Arguments: the contender's name, the
 * engine's endpoint and the data as JSON. Sends the load generator the URL and the requests to repeat.
 */
export interface Served {
  url: string;
  requests: { method?: 'GET' | 'POST'; path?: string; headers?: Record<string, string>; body?: string }[];
}

const [, , name = '', endpoint = '', given = '{}'] = process.argv;
const input = JSON.parse(given);

/** Creates a server that calls a Lambda handler with each request and responds with the handler's status. */
function lambda(
  handler: (event: unknown, context: unknown) => Promise<unknown>,
  eventOf: (request: IncomingMessage, body: string) => object,
): RequestListener {
  return (request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', async () => {
      try {
        const answer = (await handler(eventOf(request, body), lambdaContext)) as {
          isAuthorized?: boolean;
          statusCode?: number;
          body?: string;
        };
        response.writeHead(answer.statusCode ?? (answer.isAuthorized ? 200 : 403)).end(answer.body);
      } catch {
        response.writeHead(500).end();
      }
    });
  };
}

const tokenOf = (request: IncomingMessage) => String(request.headers.authorization).slice('Bearer '.length);
const bearers = (): Served['requests'] =>
  input.tokens.map((token: string) => ({ headers: { authorization: `Bearer ${token}` } }));
const check = (folder?: string, entry = 'authorize') =>
  lambda(handlerOf(entry, folder), (request) => authorizerEvent(tokenOf(request)));
const entries = builtEntries.slice(builtEntries.indexOf('.build'));

/**
 * Each check uses the next of 64 tokens, and the clock advances one second at each read. Every check therefore extends
 * its token if the slide interval is at most a minute. The load generator cannot do this, because each of its
 * connections starts with the first token.
 */
async function slidingCheck() {
  let now = Date.now();
  Date.now = () => {
    now += 1000;
    return now;
  };
  let turn = 0;
  const next = () => authorizerEvent(input.tokens[turn++ % input.tokens.length]);
  return { listener: lambda(handlerOf('authorize'), next), requests: [{}] };
}

/** Functions that return each contender's listener and requests, by the contender's name. */
const contenders: Record<string, () => Promise<{ listener: RequestListener; requests: Served['requests'] }>> =
  {
    check: async () => ({ listener: check(), requests: bearers() }),
    'check on the SDK': async () => ({ listener: check(entries, 'sdk-authorize'), requests: bearers() }),
    sliding: slidingCheck,
    'sliding, slideInterval 0': slidingCheck,
    naive: async () => ({ listener: check(entries, 'naive'), requests: bearers() }),
    'better-auth verify': async () => {
      const { auth, create } = await betterAuth();
      const keys = await Promise.all(Array.from({ length: input.tokens.length }, create));
      return {
        listener: async (request, response) => {
          const { valid } = await auth.api.verifyApiKey({
            body: { key: String(request.headers['x-api-key']) },
          });
          response.writeHead(valid ? 200 : 403).end();
        },
        requests: keys.map(({ key }) => ({ headers: { 'x-api-key': key } })),
      };
    },
    'better-auth create': async () => {
      const { create } = await betterAuth();
      return {
        listener: async (_, response) => {
          response.writeHead(200).end(JSON.stringify(await create()));
        },
        requests: [{ method: 'POST' }],
      };
    },
    'oidc-provider introspection': async () => oidc('introspection'),
    'oidc-provider client_credentials': async () => oidc('token'),
    exchange: async () => ({
      listener: lambda(handlerOf('issue-token'), ({ headers }, body) => {
        const { authorization, 'content-type': type } = headers;
        return apiEvent('POST /oauth/token', { body, headers: { authorization, 'content-type': type } });
      }),
      requests: input.keys.map(([id, secret]: [string, string]) => ({
        method: 'POST',
        headers: {
          authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: 'grant_type=client_credentials',
      })),
    }),
    'create a key': async () => management('POST', JSON.stringify({ name: 'GitHub Actions' })),
    'list 100 keys': async () => management('GET'),
  };

async function management(method: 'GET' | 'POST', body?: string) {
  const routeKey = `${method} /deployments/{deploymentId}/api-keys`;
  return {
    listener: lambda(handlerOf('manage-keys'), ({ url = '' }, text) =>
      apiEvent(routeKey, { pathParameters: { deploymentId: url.slice(1) }, body: text || undefined }),
    ),
    requests: input.deployments.map((id: string) => ({ method, path: `/${id}`, body })),
  };
}

async function oidc(kind: 'introspection' | 'token') {
  const { default: Provider } = await import('oidc-provider');
  const provider = new Provider('http://127.0.0.1', {
    clients: [
      {
        client_id: 'ci',
        client_secret: 'a-secret-of-the-client',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    features: {
      introspection: { enabled: true },
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
    },
    scopes: ['code:deploy'],
    ttl: { ClientCredentials: 86_400 },
  });
  const headers = {
    authorization: `Basic ${Buffer.from('ci:a-secret-of-the-client').toString('base64')}`,
    'content-type': 'application/x-www-form-urlencoded',
  };
  const client = await provider.Client.find('ci');
  const tokens: string[] = [];
  for (let n = 0; kind === 'introspection' && n < input.tokens.length; n++) {
    tokens.push(await new provider.ClientCredentials({ client, scope: 'code:deploy' } as never).save());
  }
  const introspect = (token: string) => ({
    method: 'POST' as const,
    path: '/token/introspection',
    headers,
    body: `token=${token}`,
  });
  const issue = {
    method: 'POST' as const,
    path: '/token',
    headers,
    body: 'grant_type=client_credentials&scope=code:deploy',
  };
  return {
    listener: provider.callback() as RequestListener,
    requests: kind === 'token' ? [issue] : tokens.map(introspect),
  };
}

const SLIDE_INTERVALS: Record<string, number> = { sliding: 60, 'sliding, slideInterval 0': 0 };

Object.assign(process.env, functionEnvironment(endpoint, SLIDE_INTERVALS[name]));
const make = contenders[name];
if (!make) throw new Error(`No contender is called ${name}.`);
// The functions' log output is not measured and must not fill the terminal.
process.stdout.write = () => true;
const { listener, requests } = await make();
const server = createServer({ keepAliveTimeout: 60_000 }, listener).listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number };
  process.send?.({ url: `http://127.0.0.1:${port}`, requests } satisfies Served);
});
process.on('message', () => process.send?.(process.cpuUsage()));
process.on('disconnect', () => process.exit());
