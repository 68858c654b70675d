import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FunctionFailure } from '../../../local/local-stack.ts';
import { Fixture } from '../../support/fixture.ts';
import { runStack } from '../../support/stack.ts';

const WAIT = `const { setTimeout: sleep } = require('node:timers/promises');
let busy = 0;
exports.handler = async (event) => {
  busy += 1;
  await sleep(event.milliseconds);
  busy -= 1;
  return { busy };
};`;

const fixture = new Fixture()
  .function(
    'Probe',
    `let calls = 0;
    exports.handler = async (event, context) => {
      calls += 1;
      return { calls, event, context, left: context.getRemainingTimeInMillis(), env: process.env };
    };`,
    { timeout: 7, environment: { COLOUR: 'blue' } },
  )
  .function('Other', 'exports.handler = async () => { process.env.SEEN = "1"; return process.env; };')
  .function('Wait', WAIT, { timeout: 10 })
  .function('Limited', WAIT, { timeout: 1 })
  .function(
    'Float',
    `let ticks = 0;
    exports.handler = async () => {
      if (ticks === 0) setInterval(() => { ticks += 1; }, 5);
      return ticks;
    };`,
  )
  .function(
    'Time',
    `exports.handler = async () => ({
      now: Date.now(), date: new Date().toISOString(), text: Date(), given: new Date(0).toISOString(),
      isDate: new Date() instanceof Date, constructed: new Date().constructor === Date,
    });`,
  )
  .function(
    'Fail',
    `exports.handler = async (event) => {
      if (event.how === 'exit') process.exit(3);
      if (event.how === 'later') { setTimeout(() => { throw new Error('later'); }, 1); return new Promise(() => {}); }
      if (event.how === 'string') throw 'text';
      if (event.how === 'log') { console.log('one'); console.error('two'); return null; }
      throw new TypeError('wrong');
    };`,
  )
  .function(
    'Structured',
    `exports.handler = async (event) => {
      if (event.how === 'throw') throw new TypeError('wrong');
      console.log('one');
      console.warn('%d of %s', 2, 'three', { deep: { deeper: true } });
      console.error({ note: 'an object' });
      process.stdout.write('{"message":"as written"}\\n');
      return [process.env.AWS_LAMBDA_LOG_FORMAT, process.env.AWS_LAMBDA_LOG_LEVEL];
    };`,
    { logFormat: 'JSON' },
  )
  .function('Broken', 'throw new RangeError("at init");')
  .function('Missing', 'exports.other = async () => 1;')
  .function('Requires', 'exports.handler = async () => require("zod");');
const stack = await runStack({ synthesise: fixture.synthesise });

// biome-ignore lint/suspicious/noExplicitAny: what a fixture function answers
const invoke = (name: string, event: unknown = {}): Promise<any> => stack.invoke(name, event);

const failure = async (name: string, event: unknown = {}) => {
  const error = await invoke(name, event).catch((reason) => reason);
  expect(error).toBeInstanceOf(FunctionFailure);
  return error as FunctionFailure;
};

describe('An emulated function sees the input and environment that Lambda would give it', () => {
  it('an emulated function gets the environment variables of the template and of Lambda, but not those of the machine', async () => {
    const { env } = await invoke('probe');
    expect(env).toMatchObject({
      COLOUR: 'blue',
      TABLE_NAME: stack.table.name,
      AWS_REGION: 'us-east-1',
      AWS_LAMBDA_FUNCTION_NAME: expect.stringMatching(/^fixture-Probe-/),
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128',
      AWS_ENDPOINT_URL_DYNAMODB: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      AWS_ENDPOINT_URL_SQS: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    });
    for (const name of ['HOME', 'USER', 'VITEST', 'npm_config_user_agent', 'NODE_ENV']) {
      expect(env).not.toHaveProperty([name]);
    }
  });

  it('emulated functions share neither environment variables nor credentials', async () => {
    const other = await invoke('other');
    const { env } = await invoke('probe');
    expect(other.SEEN).toBe('1');
    expect(env).not.toHaveProperty('SEEN');
    expect(process.env).not.toHaveProperty('SEEN');
    expect(other.AWS_ACCESS_KEY_ID).not.toBe(env.AWS_ACCESS_KEY_ID);
  });

  it("an emulated function gets a context with the request ID, the function's name and the remaining time", async () => {
    const { context, left } = await invoke('probe');
    expect(context).toMatchObject({
      awsRequestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      functionName: expect.stringMatching(/^fixture-Probe-/),
      functionVersion: '$LATEST',
      invokedFunctionArn: expect.stringMatching(
        /^arn:aws:lambda:us-east-1:000000000000:function:fixture-Probe-/,
      ),
      memoryLimitInMB: '128',
    });
    expect(left).toBeGreaterThan(6_000);
    expect(left).toBeLessThanOrEqual(7_000);
  });

  it('an emulated function gets the event after it was serialised to JSON and parsed again', async () => {
    const { event } = await invoke('probe', { at: new Date(0), nothing: undefined });
    expect(event).toEqual({ at: '1970-01-01T00:00:00.000Z' });
  });

  it("an emulated function cannot load the project's packages unless its bundle contains them", async () => {
    expect(await failure('requires')).toMatchObject({ errorMessage: expect.stringContaining("'zod'") });
  });
});

describe('An emulated function runs in a worker', () => {
  it('a worker of an emulated function is reused for the next event', async () => {
    const { calls } = await invoke('probe');
    const next = await invoke('probe');
    expect(next.calls).toBe(calls + 1);
  });

  it('each worker in a pool of four handles one event at a time', async () => {
    const start = performance.now();
    const answers = await Promise.all(Array.from({ length: 8 }, () => invoke('wait', { milliseconds: 300 })));
    expect(answers).toEqual(Array(8).fill({ busy: 0 }));
    expect(performance.now() - start).toBeGreaterThan(590);
  });

  it('a worker pauses between events, so that unawaited promises do not continue', async () => {
    await invoke('float');
    const before = await invoke('float');
    await sleep(200);
    const after = await invoke('float');
    expect(after - before).toBeLessThan(3);
  });

  it('a worker is stopped at the time limit and replaced, while other workers continue', async () => {
    const slow = failure('limited', { milliseconds: 60_000 });
    const quick = await invoke('limited', { milliseconds: 1 });
    expect(quick).toEqual({ busy: 0 });
    expect(await slow).toMatchObject({
      errorType: 'Sandbox.Timedout',
      errorMessage: expect.stringMatching(/Task timed out after 1\.00 seconds$/),
    });
    expect(await invoke('limited', { milliseconds: 1 })).toEqual({ busy: 0 });
  });

  it('a worker that exits is replaced', async () => {
    expect(await failure('fail', { how: 'exit' })).toMatchObject({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringContaining('exit status 3'),
    });
    expect(await failure('fail', { how: 'later' })).toMatchObject({ errorMessage: 'later' });
    expect(await failure('fail')).toMatchObject({ errorType: 'TypeError' });
  });
});

describe('The emulator reports and logs errors of a function as Lambda does', () => {
  it('an error in an emulated function is reported with its type and message, as on Lambda', async () => {
    expect(await failure('fail')).toMatchObject({ errorType: 'TypeError', errorMessage: 'wrong' });
    expect(await failure('fail', { how: 'string' })).toMatchObject({
      errorType: 'string',
      errorMessage: 'text',
    });
  });

  it('an error while an emulated function is loading makes every event fail', async () => {
    expect(await failure('broken')).toMatchObject({ errorType: 'RangeError', errorMessage: 'at init' });
    expect(await failure('broken')).toMatchObject({ errorType: 'RangeError' });
    expect(await failure('missing')).toMatchObject({ errorType: 'Runtime.HandlerNotFound' });
  });

  it("an error in an emulated function is logged together with the function's output", async () => {
    stack.logs.clear();
    await invoke('fail', { how: 'log' });
    await failure('fail');
    expect(stack.logs.text('fail')).toMatch(
      /^one\ntwo\n[0-9a-f-]{36}\tERROR\tInvoke Error\t.*"errorMessage":"wrong"/,
    );
    expect(stack.logs.text('probe')).toBe('');
  });

  it('a function with the JSON log format logs errors and console output as JSON, and leaves other output unchanged', async () => {
    stack.logs.clear();
    expect(await invoke('structured')).toEqual(['JSON', 'INFO']);
    await failure('structured', { how: 'throw' });
    const lines = stack.logs
      .text('structured')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const around = {
      timestamp: expect.stringMatching(/Z$/),
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    };
    expect(lines).toEqual([
      { ...around, level: 'INFO', message: 'one' },
      { ...around, level: 'WARN', message: '2 of three { deep: { deeper: true } }' },
      { ...around, level: 'ERROR', message: { note: 'an object' } },
      { message: 'as written' },
      {
        ...around,
        level: 'ERROR',
        message: { errorType: 'TypeError', errorMessage: 'wrong', stackTrace: expect.any(Array) },
      },
    ]);
  });
});

describe("The stack's clock controls the time in functions", () => {
  it("the stack's clock sets the time that functions see: frozen, advanced or running", async () => {
    const at = Date.UTC(2030, 0, 1);
    stack.clock.freeze(at);
    expect(await invoke('time')).toEqual({
      now: at,
      date: '2030-01-01T00:00:00.000Z',
      text: new Date(at).toString(),
      given: '1970-01-01T00:00:00.000Z',
      isDate: true,
      constructed: true,
    });
    stack.clock.advance(1.5);
    expect(await invoke('time')).toMatchObject({ now: at + 1500 });
    stack.clock.release();
    const { now } = await invoke('time');
    expect(now).toBeGreaterThanOrEqual(at + 1500);
    expect(now).toBeLessThan(at + 6500);
  });

  it("the stack's clock does not affect time limits", async () => {
    stack.clock.freeze();
    expect(await failure('limited', { milliseconds: 60_000 })).toMatchObject({
      errorType: 'Sandbox.Timedout',
    });
    stack.clock.release();
  });
});
