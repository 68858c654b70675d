import { beforeEach, describe, expect, it, vi } from 'vitest';
import { unavailable } from '../../functions/domain/errors.ts';
import { checkReport } from '../../functions/runtime/report.ts';

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

describe('a check that lets nobody in is one line of log', () => {
  it('with the reason of a refusal, the consumer and a metric by reason', () => {
    report.refused('expired', origin);
    expect(lines.map((line) => JSON.parse(line))).toStrictEqual([
      {
        level: 'INFO',
        message: 'refused',
        timestamp: '2027-01-15T08:00:00.000Z',
        ...origin,
        _aws: metric('ChecksRefused', ['stack', 'reason']),
        stack: 'keys',
        reason: 'expired',
        ChecksRefused: 1,
      },
    ]);
  });

  it('with the cause of a failure, and a metric of its own for an alarm', () => {
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

  it('without a credential that an error should hold', () => {
    report.failed(new Error('bad header Bearer dkt_etl_abc'), origin);
    expect(lines.join()).not.toContain('dkt_etl_abc');
  });
});
