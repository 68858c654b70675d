import { afterEach, expect, it, vi } from 'vitest';
import { startEngine } from '../../../local/dynamodb/engine.ts';

const resolve = vi.hoisted(() => vi.fn());
vi.mock('node:module', async (original) => ({
  ...(await original<object>()),
  createRequire: () => ({ resolve }),
}));

afterEach(() => resolve.mockReset());

it('startEngine uses the engine that DYNAMODB_ENDPOINT names', async () => {
  vi.stubEnv('DYNAMODB_ENDPOINT', 'http://127.0.0.1:8000/');
  const engine = await startEngine();
  expect(engine.endpoint).toBe('http://127.0.0.1:8000');
  await engine.stop();
  expect(resolve).not.toHaveBeenCalled();
});

it('startEngine says how to name another engine on a platform without the embedded one', async () => {
  vi.stubEnv('DYNAMODB_ENDPOINT', '');
  resolve.mockImplementation(() => {
    throw new Error('Cannot find module');
  });
  await expect(startEngine()).rejects.toThrow(
    /^There is no embedded DynamoDB for \w+ on \w+ .* name it: DYNAMODB_ENDPOINT=http:\/\/127\.0\.0\.1:8000$/,
  );
});

it("startEngine fails with the engine's own output when the engine does not start", async () => {
  vi.stubEnv('DYNAMODB_ENDPOINT', '');
  resolve.mockReturnValue('/nowhere/dynoxide');
  await expect(startEngine()).rejects.toThrow(/^The embedded DynamoDB did not start\. .*\/nowhere\/dynoxide/);
});
