import { randomUUID } from 'node:crypto';
import { DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { describe, expect, it } from 'vitest';
import { mintCredential } from '../../functions/domain/credentials.ts';
import type { AlarmStatus } from '../../local/aws/alarms.ts';
import type { LocalStack } from '../../local/local-stack.ts';
import type { CfnTemplate } from '../../local/template.ts';
import { startCiIssuer } from '../support/ci-issuer.ts';
import { faultyEngine } from '../support/faulty-engine.ts';
import { type CreatedKey, runStack } from '../support/stack.ts';

// Provokes the cause of each alarm in the running stack, and evaluates the alarm as the template defines it, over the
// metrics that the functions have written and that AWS would have recorded.

const NOON = Date.parse('2030-01-01T12:00:00Z');
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const eventually = { timeout: 30_000, interval: 50 };

/** Lets a message that failed return to its queue after a second, so that five attempts do not take hours. */
function shortenVisibility({ Resources }: CfnTemplate): void {
  for (const { Type, Properties } of Object.values(Resources)) {
    if (Type === 'AWS::SQS::Queue' && Properties?.RedrivePolicy) Properties.VisibilityTimeout = 1;
  }
}

/** Breaks two functions, as a wrong deployment does: one behind a public route, and one behind a route for people. */
function breakFunctions({ Resources }: CfnTemplate): void {
  for (const { Type, Metadata, Properties } of Object.values(Resources)) {
    const isBroken = /\/(Metadata|ListEvents)\/Function\//.test(String(Metadata?.['aws:cdk:path']));
    if (Type === 'AWS::Lambda::Function' && isBroken && Properties) Properties.Handler = 'index.missing';
  }
}

// The table's name is random, because a shared engine may return stream records of an earlier table with the same name.
const TABLE = `arn:aws:dynamodb:us-east-1:000000000000:table/platform-${randomUUID()}`;

/** Called for each line that a function logs. */
let onLine = (_functionName: string, _text: string): void => {};
const engine = await faultyEngine();
const ci = await startCiIssuer();
const options = { onLog: (line: { function: string; text: string }) => onLine(line.function, line.text) };
const own = await runStack({
  ...options,
  context: { trustedIssuers: [{ issuer: ci.url, preset: 'gitlab' }] },
  alterTemplate: (template) => {
    shortenVisibility(template);
    breakFunctions(template);
  },
});
const following = await runStack({
  ...options,
  context: {
    deploymentsSource: {
      table: TABLE,
      stream: `${TABLE}/stream/2026-01-01T00:00:00.000`,
      id: 'deploymentId',
    },
  },
});
for (const { clock, schedules } of [own, following]) {
  clock.freeze(NOON);
  // Only the tests run schedules. Otherwise, each test that moves the clock would run them, too.
  for (const schedule of schedules) schedule.isEnabled = false;
}

/** Returns an alarm. @param name name without the stack's name */
function alarm(stack: LocalStack, name: string): AlarmStatus {
  const found = stack.alarms().find((status) => status.name === `deployment-api-keys-development-${name}`);
  if (!found) throw new Error(`The stack has no alarm ${name}.`);
  return found;
}

/** Runs the work while every call to the table fails. */
async function failing<T>(fault: typeof engine.fault, work: () => Promise<T>): Promise<T> {
  engine.fault = fault;
  try {
    return await work();
  } finally {
    engine.fault = undefined;
  }
}
const THROTTLED = { status: 400, name: 'ThrottlingException' };
const DENIED = { status: 400, name: 'AccessDeniedException' };

async function repeat(times: number, work: () => Promise<unknown>): Promise<void> {
  for (let n = 0; n < times; n++) await work();
}

/** Runs the work in three consecutive periods of five minutes. */
async function threePeriods(work: () => Promise<unknown>): Promise<void> {
  await work();
  await repeat(2, () => {
    own.clock.advance(5 * MINUTE);
    return work();
  });
}

/** Runs a schedule. @param name end of the rule's path, such as `KeySweep/Schedule` */
async function run(stack: LocalStack, name: string) {
  const schedule = stack.schedules.find((it) => it.name.endsWith(`${name}/Resource`));
  if (!schedule) throw new Error(`The stack has no schedule ${name}.`);
  return schedule.fire();
}

/** Deletes the messages of a dead-letter queue, as the runbook says. */
function empty(stack: LocalStack, name: string): void {
  const queue = stack.queue(name);
  for (const { receiptHandle = '' } of queue.receive(10)) queue.delete(receiptHandle);
}

let count = 0;
const newId = () => `alarm-${++count}`;
async function newKey(): Promise<CreatedKey> {
  const id = newId();
  await own.register(id);
  return own.createKey(id);
}
const listKeys = () => own.callAs('admin', 'GET', '/deployments/etl/api-keys');

/**
 * Fails the deliveries of a stream reader until they have been late in three periods of five minutes.
 *
 * @param message log message of a delivery that failed
 * @param age age of the records at the second delivery, in seconds
 */
async function failLate(
  { clock }: LocalStack,
  functionName: string,
  message: string,
  age: number,
): Promise<void> {
  let failures = 0;
  onLine = (name, text) => {
    if (name !== functionName || !text.includes(message)) return;
    failures += 1;
    clock.advance(failures === 1 ? age : 5 * MINUTE);
  };
  await expect.poll(() => failures, eventually).toBeGreaterThanOrEqual(4);
  onLine = () => {};
}

/** Deletes a Deployment whose purge fails until the purge's record is in the dead-letter queue. */
async function failPurge(): Promise<void> {
  const id = newId();
  await own.register(id);
  await own.waitForDelivery();
  await own.callAs('admin', 'DELETE', `/deployments/${id}`);
  await failing(DENIED, async () => {
    await expect.poll(() => own.queue('PurgeSourcesStreamFailures').messages.length, eventually).toBe(1);
  });
}

/** How a test provokes an alarm. */
interface Rehearsal {
  /** Provokes the alarm's cause. */
  readonly cause: () => Promise<unknown>;
  /** What a person does, in addition to ending the cause. */
  readonly recovery?: () => unknown;
  /** Time after which the alarm ends, in seconds. @default 2 hours */
  readonly quiet?: number;
}

const PUBLIC = ['issue-token', 'introspect', 'revoke', 'metadata', 'reference', 'report-leak'];
const MANAGEMENT = [
  'manage-deployments',
  'manage-keys',
  'manage-temporary-tokens',
  'manage-people',
  'list-events',
];

/** Makes Lambda throttle one event for each function. */
async function throttle(names: readonly string[]): Promise<void> {
  for (const name of names) {
    own.reserveConcurrency(name, 0);
    await expect(own.invoke(name, {})).rejects.toThrow('TooManyRequestsException');
    own.reserveConcurrency(name, undefined);
  }
}

const OWN: readonly (readonly [name: string, cause: string, Rehearsal])[] = [
  [
    'RejectedAuthentications',
    'a pipeline retries with an invalid secret',
    {
      cause: async () => {
        const key = await newKey();
        const { deploymentId = '', id } = { deploymentId: `alarm-${count}`, id: key.id.slice(-26) };
        const secret = mintCredential('secret', deploymentId, id);
        await repeat(100, () => own.exchange({ ...key, secret }));
      },
    },
  ],
  [
    'FailedChecks',
    'the table throttles checks',
    {
      cause: async () => {
        const token = await own.newToken(newId());
        await failing(THROTTLED, () => repeat(5, () => own.call('GET', '/whoami', { token })));
      },
    },
  ],
  [
    'SlowChecks',
    'the table does not respond',
    {
      cause: async () => {
        const authorization = `Bearer ${await own.newToken(newId())}`;
        const event = {
          type: 'TOKEN',
          authorizationToken: authorization,
          methodArn: 'arn:aws:execute-api:x',
        };
        await failing('hang', () => threePeriods(() => own.invoke('authorize', event).catch(() => {})));
      },
    },
  ],
  [
    'ThrottledChecks',
    'the concurrency of the authorizer is used up',
    { cause: () => throttle(['authorize']) },
  ],
  ['ThrottledChecks', 'the concurrency of /whoami is used up', { cause: () => throttle(['whoami']) }],
  [
    'FailedCalls',
    'the table throttles calls',
    {
      cause: async () => {
        const key = await newKey();
        const leaked = mintCredential('secret', 'etl', key.id.slice(-26));
        await failing(THROTTLED, async () => {
          const replies = [
            await own.exchange(key),
            await own.call('POST', '/leaks', { json: { credential: leaked } }),
            await listKeys(),
            await own.callAs('admin', 'PUT', '/deployments/etl', { json: {} }),
            await own.callAs('admin', 'GET', '/deployments'),
          ];
          expect(replies.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
        });
      },
    },
  ],
  [
    'FailedCalls',
    'the table throttles calls about people',
    {
      cause: async () => {
        await failing(THROTTLED, async () => {
          const replies = [1, 2, 3, 4, 5].map(() => own.callAs('admin', 'GET', '/people'));
          expect((await Promise.all(replies)).map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
        });
      },
    },
  ],
  [
    'FailedCalls',
    'the keys of a trusted issuer cannot be read',
    {
      cause: async () => {
        const id = newId();
        await own.register(id);
        const trust = [{ issuer: ci.url, claims: { namespace_id: '1', project_id: '2', ref: 'main' } }];
        const key = await own.createKey(id, { name: 'ci', trust });
        const claims = { namespace_id: '1', project_id: '2', ref: 'main', sub: 'p' };
        const subject = await ci.sign({ claims, audience: own.url, expires: own.clock.now() / 1000 + 60 });
        ci.answer = (_, response) => response.writeHead(500).end();
        await repeat(5, async () => {
          const form = {
            grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
            client_id: key.id,
            subject_token: subject,
            subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
          };
          expect((await own.call('POST', '/oauth/token', { form })).status).toBe(503);
        });
        ci.answer = undefined;
      },
    },
  ],
  [
    'ThrottledTable',
    'DynamoDB throttles the table',
    { cause: () => failing(THROTTLED, () => repeat(4, listKeys)) },
  ],
  [
    'CrashedFunctions',
    'a function behind a public route was deployed without its handler',
    { cause: () => own.call('GET', '/.well-known/oauth-authorization-server') },
  ],
  [
    'CrashedFunctions',
    'the function of /whoami crashes',
    { cause: () => own.invoke('whoami', {}).catch(() => {}) },
  ],
  [
    'CrashedManagement',
    'a function behind a route for people was deployed without its handler',
    { cause: () => own.callAs('admin', 'GET', '/deployments/etl/events') },
  ],
  [
    'ThrottledFunctions',
    'the concurrency of /oauth/token is used up',
    {
      cause: async () => {
        own.reserveConcurrency('issue-token', 0);
        const reply = await own.exchange({
          id: 'dk_etl_01JP0000000000000000000000',
          secret: 'x',
          scopes: [],
        });
        own.reserveConcurrency('issue-token', undefined);
        expect([reply.status, reply.json]).toEqual([503, { message: 'Service Unavailable' }]);
      },
    },
  ],
  ...PUBLIC.map(
    (name) => ['ThrottledFunctions', `Lambda throttles ${name}`, { cause: () => throttle([name]) }] as const,
  ),
  ...MANAGEMENT.map(
    (name) => ['ThrottledManagement', `Lambda throttles ${name}`, { cause: () => throttle([name]) }] as const,
  ),
  [
    'SlowFunctions',
    'the table does not respond to /oauth/token',
    {
      cause: async () => {
        const key = await newKey();
        await failing('hang', () => threePeriods(() => own.exchange(key)));
      },
    },
  ],
  [
    'SlowManagement',
    'the table does not respond to the console',
    { cause: () => failing('hang', () => threePeriods(listKeys)) },
  ],
  [
    'MalformedItems',
    'someone damages a key in the table',
    {
      cause: async () => {
        const key = await newKey();
        const sk = `KEY#${key.id.slice(-26)}`;
        await own.setAttribute([`DEPLOYMENT#alarm-${count}`, sk], 'scopes', 7);
        expect((await own.exchange(key)).status).toBe(401);
      },
    },
  ],
  [
    'FailedSweeps',
    'the daily check of all keys is denied access to the table',
    { cause: () => failing(DENIED, () => run(own, 'KeySweep/Schedule')) },
  ],
  [
    'FailedSweeps',
    'the hourly recording of rejected calls is denied access to the table',
    { cause: () => failing(DENIED, () => run(own, 'KeySweep/Hourly')) },
  ],
  [
    'FailedReconciliation',
    'four runs of reconciliation in a row are denied access to the table',
    {
      cause: () =>
        failing(DENIED, () =>
          repeat(4, async () => {
            own.clock.advance(15 * MINUTE);
            await run(own, 'Reconciliation/Schedule');
          }),
        ),
    },
  ],
  [
    'OrphansFound',
    'someone removes the item of a Deployment while the stream is down',
    {
      cause: async () => {
        await newKey();
        await own.waitForDelivery();
        // The reader is down, so it does not see the removal.
        own.reserveConcurrency('purge', 0);
        await own.removeItem(`DEPLOYMENT#alarm-${count}`, 'DEPLOYMENT');
        await own.removeItem('RECONCILIATION', 'TABLE');
        await run(own, 'Reconciliation/Schedule');
        own.reserveConcurrency('purge', undefined);
        await own.waitForDelivery();
      },
    },
  ],
  [
    'OldStreamRecords',
    'the purge of the table fails for more than an hour',
    {
      cause: async () => {
        const id = newId();
        await own.register(id);
        await own.waitForDelivery();
        await own.callAs('admin', 'DELETE', `/deployments/${id}`);
        await failing(DENIED, () => failLate(own, 'purge', 'purge failed', 61 * MINUTE));
        await own.waitForDelivery();
      },
      recovery: () => empty(own, 'PurgeSourcesStreamFailures'),
    },
  ],
  [
    'FailedStreamBatches',
    'six deliveries of a deletion to the purge fail',
    { cause: failPurge, recovery: () => empty(own, 'PurgeSourcesStreamFailures') },
  ],
  [
    'FailedContinuations',
    'five attempts to continue a purge fail',
    {
      cause: async () => {
        await failPurge();
        own.clock.advance(6 * MINUTE);
        await run(own, 'PurgeSources/Schedule');
        await failing(DENIED, async () => {
          const { messages } = own.queue('PurgeSourcesContinuationFailures');
          await expect.poll(() => messages.length, eventually).toBeGreaterThan(0);
        });
      },
      recovery: () => {
        empty(own, 'PurgeSourcesStreamFailures');
        empty(own, 'PurgeSourcesContinuationFailures');
      },
    },
  ],
  [
    'OldPurgeMarkers',
    'a purge makes no progress for an hour',
    {
      cause: async () => {
        const id = newId();
        await own.register(id);
        await own.setAttribute([`DEPLOYMENT#${id}`, 'DEPLOYMENT'], 'generation', 7);
        await own.callAs('admin', 'DELETE', `/deployments/${id}`);
        await own.table.client.send(
          new PutCommand({
            TableName: own.table.name,
            Item: { pk: `DEPLOYMENT#${id}`, sk: 'DEPLOYMENT', generation: 7 },
          }),
        );
        await repeat(4, async () => {
          own.clock.advance(15 * MINUTE);
          await run(own, 'PurgeSources/Schedule');
        });
      },
      recovery: async () => {
        await own.removeItem(`DEPLOYMENT#alarm-${count}`, 'DEPLOYMENT');
        await run(own, 'PurgeSources/Schedule');
        await own.waitForDelivery(60_000);
        empty(own, 'PurgeSourcesStreamFailures');
      },
    },
  ],
  [
    'DelayedEvents',
    'the bus rejects events for more than an hour',
    {
      cause: async () => {
        for (const bus of own.buses) bus.failures = 1000;
        await own.register(newId());
        await failLate(own, 'publish-events', 'events not sent', 61 * MINUTE);
        for (const bus of own.buses) bus.failures = 0;
        await own.waitForDelivery();
      },
    },
  ],
  [
    'UndeliveredEvents',
    'the bus rejects events eleven times',
    {
      cause: async () => {
        for (const bus of own.buses) bus.failures = 1000;
        await own.register(newId());
        await expect.poll(() => own.queue('EventBusStreamFailures').messages.length, eventually).toBe(1);
        for (const bus of own.buses) bus.failures = 0;
      },
      recovery: () => empty(own, 'EventBusStreamFailures'),
    },
  ],
  [
    'FailedPeopleJobs',
    'a message that is not a person is in the queue',
    {
      cause: async () => {
        own.queue('PeopleJobQueue').send('{"poison":true}');
        await expect.poll(() => own.queue('PeopleJobFailures').messages.length, eventually).toBe(1);
      },
      recovery: () => empty(own, 'PeopleJobFailures'),
    },
  ],
];

/** Expects that an alarm fires when its cause occurs, and ends afterwards. */
async function rehearse(stack: LocalStack, name: string, { cause, recovery, quiet = 2 * HOUR }: Rehearsal) {
  expect(alarm(stack, name).state).toBe('OK');
  await cause();
  expect(alarm(stack, name)).toMatchObject({ state: 'ALARM' });
  await recovery?.();
  stack.clock.advance(quiet);
  expect(alarm(stack, name)).toMatchObject({ state: 'OK' });
}

describe('An alarm fires when its cause occurs, and ends without it', () => {
  it.each(OWN)('%s fires when %s, and ends afterwards', { timeout: 60_000 }, (name, _, rehearsal) =>
    rehearse(own, name, rehearsal),
  );
});

const SCHEDULES = [
  ['MissingPurgeSweeps', 'PurgeSources/Schedule', 2 * HOUR],
  ['MissingHourlySweeps', 'KeySweep/Hourly', 3 * HOUR],
  ['MissingKeySweeps', 'KeySweep/Schedule', 26 * HOUR],
  ['MissingReconciliation', 'Reconciliation/Schedule', 2 * HOUR],
  ['MissingPeopleJobs', 'PeopleJob/Schedule', 2 * HOUR],
] as const;

describe('An alarm fires when a schedule has not run in time', () => {
  it.each(SCHEDULES)(
    '%s fires when the schedule %s has not run for %i seconds, and ends with its next run',
    async (name, schedule, after) => {
      await run(own, schedule);
      expect(alarm(own, name).state).toBe('OK');
      own.clock.advance(after - MINUTE);
      expect(alarm(own, name).state).toBe('OK');
      own.clock.advance(MINUTE);
      expect(alarm(own, name)).toMatchObject({ state: 'ALARM' });
      await run(own, schedule);
      expect(alarm(own, name).state).toBe('OK');
    },
  );
});

const platform = following.tables[1];
const put = (deploymentId: string) =>
  platform?.client.send(new PutCommand({ TableName: platform.name, Item: { deploymentId } }));
const remove = (deploymentId: string) =>
  platform?.client.send(new DeleteCommand({ TableName: platform.name, Key: { deploymentId } }));

const FOLLOWING: typeof OWN = [
  [
    'RejectedChanges',
    'a row has an invalid ID',
    {
      cause: async () => {
        await put('no such id');
        await following.waitForDelivery();
      },
      recovery: () => empty(following, 'DeploymentsSourceFailures'),
    },
  ],
  [
    'CorrectedDeployments',
    'the stream missed a change',
    {
      cause: async () => {
        await put('missed');
        await following.waitForDelivery();
        for (const [pk, sk] of [
          ['DEPLOYMENT#missed', 'DEPLOYMENT'],
          ['DEPLOYMENTS', 'missed'],
          ['SOURCES', 'missed'],
        ] as const) {
          await following.removeItem(pk, sk);
        }
        await run(following, 'Reconciliation/Schedule');
      },
    },
  ],
  [
    'OldSourceChanges',
    'changes cannot be applied for more than five minutes',
    {
      cause: async () => {
        await put('late');
        await failing(DENIED, () =>
          failLate(following, 'sync-deployments', 'change not applied', 6 * MINUTE),
        );
        await following.waitForDelivery();
      },
    },
  ],
  [
    'StoppedDeletions',
    'the table loses its rows',
    {
      cause: async () => {
        const ids = Array.from({ length: 8 }, (_, n) => `lost-${n}`);
        for (const id of ids) await put(id);
        await following.waitForDelivery();
        for (const id of ids) await remove(id);
        await following.waitForDelivery();
      },
    },
  ],
];

describe('An alarm of a followed table fires when its cause occurs', () => {
  it.each(FOLLOWING)('%s fires when %s, and ends afterwards', { timeout: 60_000 }, (name, _, rehearsal) =>
    rehearse(following, name, rehearsal),
  );

  it('StoppedDeletions keeps firing until a person confirms the deletions', async () => {
    await run(following, 'Reconciliation/Schedule');
    expect(alarm(following, 'StoppedDeletions')).toMatchObject({ state: 'ALARM' });
  });
});

it('a test provokes each alarm of the template', () => {
  const provoked = new Set<string>([...OWN, ...SCHEDULES, ...FOLLOWING].map(([name]) => name));
  const names = following.alarms().map(({ name }) => name.replace('deployment-api-keys-development-', ''));
  expect(names.toSorted()).toEqual([...provoked].toSorted());
});
