import { startLocalStack } from '../../../local/local-stack.ts';
import type { Served } from './serve.ts';

/** Starts the whole local stack except the stream: the gateway, the worker pools and the proxy that emulates IAM. */
const stack = await startLocalStack({ stream: false });
const admin = `Bearer ${await stack.signIn('admin')}`;
async function request(method: string, path: string, authorization: string, type: string, body: string) {
  const reply = await fetch(stack.url + path, {
    method,
    headers: { authorization, 'content-type': type },
    body,
  });
  if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
  return reply.json() as Promise<Record<string, string>>;
}
await request('PUT', '/deployments/bench', admin, 'application/json', '{}');
const key = await request(
  'POST',
  '/deployments/bench/api-keys',
  admin,
  'application/json',
  '{"name":"bench"}',
);
const basic = `Basic ${Buffer.from(`${key.id}:${key.secret}`).toString('base64')}`;
const form = 'application/x-www-form-urlencoded';
const { access_token } = await request('POST', '/oauth/token', basic, form, 'grant_type=client_credentials');
const headers = { authorization: `Bearer ${access_token}` };
process.send?.({ url: `${stack.url}/whoami`, requests: [{ headers }] } satisfies Served);
process.on('disconnect', async () => {
  await stack.stop();
  process.exit();
});
