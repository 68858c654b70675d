import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it, vi } from 'vitest';
import { bundlesDirectory } from '../../infra/bundles.ts';
import { call } from '../support/stack.ts';
import { temporaryFolder } from '../support/temporary.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const data = temporaryFolder('debugged-data');
let child: ChildProcess;
let output = '';

afterAll(async () => {
  // A process that waits for a thread does not react to any other signal.
  child.kill('SIGKILL');
  await once(child, 'exit');
});

/** The parts of the inspector's messages that the test reads. */
interface Message {
  method?: string;
  params?: {
    sessionId?: string;
    message?: string;
    scriptId?: string;
    sourceMapURL?: string;
    callFrames?: { location: object }[];
  };
  result?: { breakpointId?: string };
}

/** Returns the first text in the emulator's output that matches the group in a pattern. */
const printed = (pattern: RegExp) =>
  vi.waitFor(
    () => {
      const [, text] = pattern.exec(output) ?? [];
      if (!text) throw new Error(`The output does not match ${pattern}: ${output}`);
      return text;
    },
    { timeout: 60_000, interval: 50 },
  );

/** Starts the emulator, which then waits for a debugger, with the environment that VS Code sets. */
function start(): void {
  const { configurations } = JSON.parse(readFileSync(join(root, '.vscode/launch.json'), 'utf8'));
  const { env } = configurations.find(({ name }: { name: string }) => name === 'Local stack');
  const ports = { PORT: '0', ISSUER_PORT: '0', OPERATIONS_PORT: '0', DYNAMODB_ENDPOINT: '' };
  const options = ['--inspect-wait=127.0.0.1:0', 'local/main.ts', '--data', data];
  child = spawn(process.execPath, options, { cwd: root, env: { ...process.env, ...ports, ...env } });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
}

/**
 * Attaches to the process as VS Code's debugger does: the process pauses each new thread until the debugger has attached
 * to it.
 * @returns `next`, which waits for a message of a thread, and `sendTo`, which sends a command to the thread of a session
 */
async function attach(url: string) {
  const socket = new WebSocket(url);
  await once(socket, 'open');
  const received: (Message & { session: string })[] = [];
  let lastId = 0;
  const send = (method: string, params: object = {}) =>
    socket.send(JSON.stringify({ id: ++lastId, method, params }));
  const sendTo = (sessionId: string, method: string, params: object = {}) => {
    const message = JSON.stringify({ id: ++lastId, method, params });
    send('NodeWorker.sendMessageToWorker', { sessionId, message });
  };
  socket.addEventListener('message', ({ data: text }) => {
    const { method, params: { sessionId: session = '', message = '' } = {} }: Message = JSON.parse(text);
    if (method === 'NodeWorker.attachedToWorker') {
      sendTo(session, 'Debugger.enable');
      sendTo(session, 'Runtime.runIfWaitingForDebugger');
    } else if (method === 'NodeWorker.receivedMessageFromWorker') {
      received.push({ session, ...JSON.parse(message) });
    }
  });
  send('NodeWorker.enable', { waitForDebuggerOnStart: true });
  send('Runtime.runIfWaitingForDebugger');
  const next = (isWanted: (message: Message) => boolean) =>
    vi.waitFor(
      () => {
        const found = received.find(isWanted);
        if (!found) throw new Error('No thread has sent the message.');
        return found;
      },
      { timeout: 30_000, interval: 20 },
    );
  return { next, sendTo, close: () => socket.close() };
}

/** Returns the position in the bundle of a function at which a line of its source begins. */
function positionOf(map: SourceMap, name: string, source: string, text: string) {
  const line = readFileSync(join(root, source), 'utf8')
    .split('\n')
    .findIndex((one) => one.includes(text));
  const bundle = readFileSync(join(bundlesDirectory, name, 'index.js'), 'utf8').split('\n');
  for (const [lineNumber, { length }] of bundle.entries()) {
    for (let columnNumber = 0; columnNumber < length; columnNumber++) {
      const entry = map.findEntry(lineNumber, columnNumber);
      if ('originalLine' in entry && entry.originalLine === line && entry.originalSource.endsWith(source))
        return { lineNumber, columnNumber };
    }
  }
  throw new Error(`The bundle of ${name} does not contain: ${text}`);
}

it("VS Code's debugger starts the emulator and stops at a breakpoint in a route", {
  timeout: 120_000,
}, async () => {
  start();
  const { next, sendTo, close } = await attach(await printed(/Debugger listening on (ws:\S+)/));
  const url = await printed(/Console and API +(http:\S+)/);

  // The first call starts the function's thread, which loads the bundle.
  expect(await call(url, 'GET', '/whoami')).toMatchObject({ status: 401 });
  const { session, params: script } = await next(({ params }) =>
    Boolean(params?.sourceMapURL?.endsWith('/whoami/index.js.map')),
  );
  const map = new SourceMap(JSON.parse(readFileSync(fileURLToPath(script?.sourceMapURL ?? ''), 'utf8')));
  const source = 'functions/routes/whoami.ts';
  const position = positionOf(map, 'whoami', source, "report.denied('missing'");
  const location = { scriptId: script?.scriptId, ...position };
  sendTo(session, 'Debugger.setBreakpoint', { location });
  await next(({ result }) => result?.breakpointId !== undefined);

  const reply = call(url, 'GET', '/whoami');
  const { params } = await next(({ method }) => method === 'Debugger.paused');
  expect(params?.callFrames?.[0]?.location).toEqual(location);
  sendTo(session, 'Debugger.resume');
  expect(await reply).toMatchObject({ status: 401 });
  close();
});
