import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { runStack } from '../support/stack.ts';

const text = readFileSync(new URL('../../docs/leaked.md', import.meta.url), 'utf8');
/** Returns the commands of the page without the indentation of the list that contains them. */
const commands = [...text.matchAll(/^ {3}```sh\n(.*?)^ {3}```$/gms)].map(([, block = '']) =>
  block.replaceAll(/^ {3}/gm, ''),
);
const stack = await runStack();

/** Runs a command and types the input that the command asks for. */
async function run(command: string, env: Record<string, string>, typed = ''): Promise<string> {
  const child = spawn('bash', ['--norc', '-euo', 'pipefail', '-c', command], {
    env: { PATH: process.env.PATH, KEYS_URL: stack.url, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  child.stdin.end(typed);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`exit status ${code}: ${said}`);
  return said;
}

it('the commands in docs/leaked.md revoke the leaked credential and give the pipeline a new secret', async () => {
  await stack.register('etl');
  const key = await stack.createKey('etl');
  const token = await stack.exchangeForToken(key);
  const [report = '', rotate = ''] = commands;
  expect(commands).toHaveLength(2);

  const line = `2027-01-15 "POST \\"x\\"" {'client_secret': '${key.secret}'} \\ \t é 100%`;
  expect(await run(report, {}, `${line}\n`)).toBe('202\n');
  expect(await stack.use(token)).toBe(401);
  expect((await stack.exchange(key)).status).toBe(401);

  const PERSON = await stack.signIn('member');
  const answer = JSON.parse(await run(rotate, { PERSON, DEPLOYMENT: 'etl', KEY_ID: key.id }));
  expect(answer).toMatchObject({ id: key.id, enabled: true });
  expect(await stack.use(await stack.exchangeForToken({ ...key, secret: answer.secret }))).toBe(200);
  expect((await stack.exchange(key)).status).toBe(401);
  expect(await stack.use(token)).toBe(401);
});

it('#51: the command in docs/leaked.md that reports a leak fails if the text contains no secret', async () => {
  const [report = ''] = commands;
  await expect(run(report, {}, 'hunter2\n')).rejects.toThrow(
    /^exit status 22: .*"credential must contain a secret .*400\n$/s,
  );
});

it('the events and the key in docs/leaked.md have the documented fields', async () => {
  await stack.register('other');
  const key = await stack.createKey('other');
  await stack.exchangeForToken(key);
  await run(commands[0] ?? '', {}, `${key.secret}\n`);
  const { items } = (await stack.callAs('member', 'GET', '/deployments/other/events')).json;
  expect(items.map(({ type }: { type: string }) => type)).toContain('api_key.leaked');
  const shown = (await stack.callAs('member', 'GET', `/deployments/other/api-keys/${key.id}`)).json;
  expect(shown).toMatchObject({ status: 'leaked', lastUsedFrom: { address: '127.0.0.1' } });
});
