import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it, onTestFinished, vi } from 'vitest';
import { startEngine } from '../../../local/dynamodb/engine.ts';

const resolve = vi.hoisted(() => vi.fn());
vi.mock('node:module', async (original) => ({
  ...(await original<object>()),
  createRequire: () => ({ resolve }),
}));

afterEach(() => resolve.mockReset());

/** Starts an HTTP server. @returns its URL */
async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close().closeAllConnections());
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const calls: unknown[] = [];
const dynamoDb: RequestListener = (request, response) => {
  calls.push([request.headers['x-amz-target'], request.headers.connection]);
  response.end('{"TableNames":[]}');
};

const COMMAND = 'docker run --rm -p 127.0.0.1:8000:8000 amazon/dynamodb-local';
const noEmbeddedEngine = () =>
  resolve.mockImplementation(() => {
    throw new Error('Cannot find module');
  });

it('startEngine uses the engine at DYNAMODB_ENDPOINT', async () => {
  vi.stubEnv('DYNAMODB_ENDPOINT', 'http://127.0.0.1:8000/');
  const engine = await startEngine();
  expect(engine.endpoint).toBe('http://127.0.0.1:8000');
  await engine.stop();
  expect(resolve).not.toHaveBeenCalled();
});

it('startEngine finds DynamoDB Local on a platform without the embedded engine', async () => {
  vi.stubEnv('DYNAMODB_ENDPOINT', '');
  noEmbeddedEngine();
  const url = await serve(dynamoDb);
  expect(await startEngine({}, url)).toMatchObject({ endpoint: url, isOwn: false });
  expect(calls).toEqual([['DynamoDB_20120810.ListTables', 'close']]);
});

it.each<[string, RequestListener | undefined]>([
  ['nothing listens', undefined],
  ['another server listens', (_, response) => response.end('<html>')],
  ['a server listens that rejects the call', (_, response) => response.writeHead(404).end('{}')],
])('startEngine prints the command that starts DynamoDB Local if %s', async (_, answer) => {
  const url = answer ? await serve(answer) : 'http://127.0.0.1:1';
  vi.stubEnv('DYNAMODB_ENDPOINT', '');
  noEmbeddedEngine();
  await expect(startEngine({}, url)).rejects.toMatchObject({
    name: 'ConfigError',
    message:
      `There is no embedded DynamoDB for ${process.platform} on ${process.arch}, and no DynamoDB Local responds at ${url}. ` +
      `Start it in another terminal:\n  ${COMMAND}\nFor a DynamoDB at another address, set DYNAMODB_ENDPOINT.`,
  });
});

it('CONTRIBUTING.md documents the command that starts DynamoDB Local', () => {
  expect(readFileSync('CONTRIBUTING.md', 'utf8')).toContain(`\n${COMMAND}\n`);
});

it("startEngine fails and shows the engine's own output if the engine does not start", async () => {
  vi.stubEnv('DYNAMODB_ENDPOINT', '');
  resolve.mockReturnValue('/nowhere/dynoxide');
  await expect(startEngine()).rejects.toThrow(/^The embedded DynamoDB did not start\. .*\/nowhere\/dynoxide/);
});
