import { beforeEach, describe, expect, it, vi } from 'vitest';
import { unavailable } from '../../functions/domain/errors.ts';
import type { PurgeOutcome } from '../../functions/domain/purge-outcome.ts';
import {
  changeReport,
  checkReport,
  clientReport,
  issueReport,
  malformedReport,
  purgeReport,
  reconcileMeasures,
} from '../../functions/runtime/report.ts';

const NOW = new Date('2027-01-15T08:00:00Z');
const lines: string[] = [];

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
  lines.length = 0;
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => lines.push(String(line)) > 0);
  return () => {
    vi.useRealTimers();
  };
});

const report = checkReport({ STACK_NAME: 'keys' });
const origin = { apiId: 'abcdef123', requestId: 'r-1' };
const metric = (Name: string, dimensions: string[]) => ({
  Timestamp: NOW.getTime(),
  CloudWatchMetrics: [
    { Namespace: 'DeploymentApiKeys', Dimensions: [dimensions], Metrics: [{ Name, Unit: 'Count' }] },
  ],
});

describe('Each denied or failed check writes a log line', () => {
  it('the log line of a denied check contains the reason, the consumer, the key and a metric', () => {
    report.denied('expired', { ...origin, client_id: 'dk_etl_K' });
    expect(lines.map((line) => JSON.parse(line))).toStrictEqual([
      {
        level: 'INFO',
        message: 'denied',
        timestamp: '2027-01-15T08:00:00.000Z',
        ...origin,
        client_id: 'dk_etl_K',
        _aws: metric('ChecksRefused', ['stack', 'reason']),
        stack: 'keys',
        reason: 'expired',
        ChecksRefused: 1,
      },
    ]);
  });

  it('the log line about a failed check contains the cause and a separate metric for the alarm', () => {
    report.failed(unavailable(new Error('ThrottlingException')), origin);
    expect(lines.map((line) => JSON.parse(line))).toStrictEqual([
      {
        level: 'ERROR',
        message: 'failed',
        timestamp: '2027-01-15T08:00:00.000Z',
        ...origin,
        error: 'Error: ThrottlingException',
        _aws: metric('ChecksFailed', ['stack']),
        stack: 'keys',
        ChecksFailed: 1,
      },
    ]);
  });

  it('the log line of a failed check contains no credential, even if the error message does', () => {
    report.failed(new Error('bad header Bearer dkt_etl_abc'), origin);
    expect(lines.join()).not.toContain('dkt_etl_abc');
  });
});

describe("Log lines contain metrics in CloudWatch's embedded metric format", () => {
  const issue = { keyId: 'dk_etl_K', requestId: 'r-1', address: '198.51.100.7', client: 'curl/8.14.1' };

  it.each([
    [
      'an issued token, with its key, the request and where it came from',
      () => issueReport({ STACK_NAME: 'keys' })(issue),
      'token issued',
      'TokensIssued',
      { client_id: 'dk_etl_K', request_id: 'r-1', address: '198.51.100.7', client: 'curl/8.14.1' },
    ],
    [
      'an issued token without address and client when these are not recorded',
      () => issueReport({ STACK_NAME: 'keys' })({ ...issue, address: '', client: '' }),
      'token issued',
      'TokensIssued',
      { client_id: 'dk_etl_K', request_id: 'r-1' },
    ],
    [
      'a failed client authentication',
      () => clientReport({ STACK_NAME: 'keys' })(),
      'client rejected',
      'RefusedAuthentications',
      {},
    ],
  ])('writes one log line with one metric for %s', (_, write, message, name, fields) => {
    write();
    expect(lines).toHaveLength(1);
    expect(JSON.parse(String(lines[0]))).toStrictEqual({
      level: 'INFO',
      message,
      timestamp: '2027-01-15T08:00:00.000Z',
      ...fields,
      _aws: metric(name, ['stack']),
      stack: 'keys',
      [name]: 1,
    });
  });

  it('#65: the log line about a malformed item contains the count for an alarm, and omits the hash of a token', () => {
    const fields = vi.fn();
    const onMalformed = malformedReport({ error: fields }, { STACK_NAME: 'keys' });
    onMalformed({ pk: 'DEPLOYMENT#etl', sk: `TOKEN#x#${'t'.repeat(43)}` });
    expect(fields).toHaveBeenCalledExactlyOnceWith('malformed item', {
      pk: 'DEPLOYMENT#etl',
      sk: 'TOKEN#x#…',
      _aws: metric('MalformedItems', ['stack']),
      stack: 'keys',
      MalformedItems: 1,
    });
  });

  const ofPurge = (...units: [string, string][]) => ({
    Timestamp: NOW.getTime(),
    CloudWatchMetrics: [
      {
        Namespace: 'DeploymentApiKeys',
        Dimensions: [['stack']],
        Metrics: units.map(([Name, Unit]) => ({ Name, Unit })),
      },
    ],
  });

  it.each<[string, PurgeOutcome, string, Record<string, unknown>]>([
    [
      'measures the number of deleted items and the delay of a completed purge',
      { type: 'purged', deploymentId: 'etl', keyUlid: 'K', deleted: 7, lag: 1200, time: 5 },
      'purged',
      {
        deployment_id: 'etl',
        key_ulid: 'K',
        deleted: 7,
        lag: 1200,
        time: 5,
        _aws: ofPurge(['ItemsPurged', 'Count'], ['PurgeLag', 'Milliseconds']),
        stack: 'keys',
        ItemsPurged: 7,
        PurgeLag: 1200,
      },
    ],
    [
      'measures only the number of deleted items of a purge with an unknown start',
      { type: 'purged', deploymentId: 'etl', keyUlid: undefined, deleted: 0, lag: undefined, time: 5 },
      'purged',
      {
        deployment_id: 'etl',
        key_ulid: undefined,
        deleted: 0,
        lag: undefined,
        time: 5,
        _aws: ofPurge(['ItemsPurged', 'Count']),
        stack: 'keys',
        ItemsPurged: 0,
      },
    ],
    [
      'measures the number of overdue markers of a sweep',
      { type: 'swept', found: 3 },
      'purge markers swept',
      { found: 3, _aws: ofPurge(['OldPurgeMarkers', 'Count']), stack: 'keys', OldPurgeMarkers: 3 },
    ],
    [
      'measures nothing when a later run continues a purge',
      { type: 'deferred', deploymentId: 'etl', keyUlid: undefined, deleted: 7 },
      'purge continues later',
      { deployment_id: 'etl', key_ulid: undefined, deleted: 7 },
    ],
    [
      'measures nothing when a generation is not purged because it is the current one',
      { type: 'current', deploymentId: 'etl' },
      'not purged: the Deployment exists',
      { deployment_id: 'etl' },
    ],
    [
      'measures nothing when a Deployment is not purged because its item is malformed',
      { type: 'malformed', deploymentId: 'etl' },
      'not purged: the Deployment is malformed',
      { deployment_id: 'etl' },
    ],
    [
      'measures nothing when the tokens of a key are not purged because the key exists',
      { type: 'key_exists', deploymentId: 'etl', keyUlid: 'K' },
      'not purged: the key exists',
      { deployment_id: 'etl', key_ulid: 'K' },
    ],
    [
      'measures nothing when a purge fails',
      { type: 'failed', error: 'throttled', messageId: 'm', deploymentId: 'etl', keyUlid: undefined },
      'purge failed',
      { error: 'throttled', messageId: 'm', deployment_id: 'etl', key_ulid: undefined },
    ],
  ])('%s', (_, outcome, message, fields) => {
    const log = { info: vi.fn(), error: vi.fn() };
    purgeReport(log, { STACK_NAME: 'keys' })(outcome);
    const [used, unused] = outcome.type === 'failed' ? [log.error, log.info] : [log.info, log.error];
    expect(used.mock.calls).toStrictEqual([[message, fields]]);
    expect(unused).not.toHaveBeenCalled();
  });
});

describe('A change to a followed table writes a log line', () => {
  it('changeReport logs each change that was applied, and does not log a change that was not needed', () => {
    const log = { info: vi.fn(), error: vi.fn() };
    const onOutcome = changeReport(log, { STACK_NAME: 'keys' });
    for (const outcome of ['registered', 'edited', 'deleted', 'unchanged'] as const)
      onOutcome('etl', outcome);
    const fieldsOf = (outcome: string) => ({ deployment_id: 'etl', outcome, sequenceNumber: undefined });
    expect(log.info.mock.calls).toStrictEqual([
      ['change applied', fieldsOf('registered')],
      ['change applied', fieldsOf('edited')],
      ['change applied', fieldsOf('deleted')],
    ]);
    expect(log.error).not.toHaveBeenCalled();
  });
});

describe('A stopped deletion writes a log line with a metric', () => {
  it("the metric of a stopped deletion has the time of the log line, not of the function's start", () => {
    const error = vi.fn();
    const onOutcome = changeReport({ info: vi.fn(), error }, { STACK_NAME: 'keys' });
    vi.setSystemTime(NOW.getTime() + 3_600_000);
    onOutcome('etl', 'stopped', '7');
    expect(error.mock.calls).toStrictEqual([
      [
        'deletion stopped',
        {
          deployment_id: 'etl',
          outcome: 'stopped',
          sequenceNumber: '7',
          _aws: { ...metric('DeletionsStopped', ['stack']), Timestamp: NOW.getTime() + 3_600_000 },
          stack: 'keys',
          DeletionsStopped: 1,
        },
      ],
    ]);
  });
});

describe('A slice of reconciliation writes a metric', () => {
  const { ofTable, ofSource } = reconcileMeasures({ STACK_NAME: 'keys' });

  it("a slice of the service's own table counts the orphans that it found", () => {
    expect(ofTable({ orphans: 3 })).toStrictEqual({
      _aws: metric('OrphansFound', ['stack']),
      stack: 'keys',
      OrphansFound: 3,
    });
  });

  it('a slice of a followed table counts the Deployments that it registered, edited or deleted', () => {
    expect(ofSource({ registered: 1, edited: 2, deleted: 4 })).toStrictEqual({
      _aws: metric('DeploymentsCorrected', ['stack']),
      stack: 'keys',
      DeploymentsCorrected: 7,
    });
  });
});
