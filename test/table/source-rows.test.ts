import { type AttributeValue, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type DeploymentsSource, RejectedRow } from '../../functions/domain/deployments-source.ts';
import {
  openSource,
  readKeyNames,
  readRow,
  rowChange,
  type SourceTable,
  scanRows,
} from '../../functions/table/source-rows.ts';
import { ENGINE_CREDENTIALS } from '../../local/dynamodb/engine.ts';
import { damaged, failure, type Stub, startStub } from '../support/dynamodb-stub.ts';
import { createTable, startEngine } from '../support/engine.ts';

const source: DeploymentsSource = {
  table: 'arn:aws:dynamodb:us-east-1:123456789012:table/platform',
  stream: 's',
  id: 'deploymentId',
  name: 'label',
  groups: 'teams',
  where: { type: 'deployment' },
};
const row = (id: string, rest: Record<string, AttributeValue> = {}) => ({
  org: { S: 'acme' },
  n: { N: '1' },
  deploymentId: { S: id },
  type: { S: 'deployment' },
  ...rest,
});
const keyOf = (n: string) => ({ org: { S: 'acme' }, n: { N: n } });

describe('The service reads attributes of several types from a followed table', () => {
  const after = (attribute: AttributeValue) =>
    rowChange(
      {
        eventName: 'INSERT',
        dynamodb: { Keys: {}, NewImage: { label: attribute, other: { S: 'x' } } },
      } as DynamoDBRecord,
      source,
    ).after;

  it.each<[string, AttributeValue, unknown]>([
    ['text', { S: 'a' }, 'a'],
    ['a number', { N: '1.5' }, 1.5],
    ['a boolean', { BOOL: false }, false],
    ['a set of text', { SS: ['a', 'b'] }, ['a', 'b']],
    ['a list', { L: [{ S: 'a' }, { N: '1' }, { L: [] }] }, ['a', 1, []]],
    ['null', { NULL: true }, null],
    ['a map', { M: { a: { S: 'b' } } }, {}],
    ['binary', { B: new Uint8Array([1]) }, {}],
    ['a set of numbers', { NS: ['1'] }, {}],
  ])('converts an attribute of a followed table that is %s', (_, attribute, value) => {
    expect(after(attribute)).toEqual({ label: value });
  });
});

describe("A followed table's stream record is parsed strictly", () => {
  const images = { Keys: keyOf('1'), SequenceNumber: '7', ApproximateCreationDateTime: 5 };
  const [OldImage, NewImage] = [row('etl'), row('etl', { label: { S: 'ETL' } })];
  const change = (eventName: string, dynamodb: object | undefined) =>
    rowChange({ eventName, dynamodb } as DynamoDBRecord, source);
  const old = { deploymentId: 'etl', type: 'deployment' };
  const expected = { key: keyOf('1'), sequenceNumber: '7', at: 5000 };

  it("reads the row before and after a change from a followed table's stream record", () => {
    expect(change('MODIFY', { ...images, OldImage, NewImage })).toEqual({
      ...expected,
      before: old,
      after: { ...old, label: 'ETL' },
    });
    expect(change('INSERT', { ...images, NewImage })).toEqual({
      ...expected,
      before: undefined,
      after: { ...old, label: 'ETL' },
    });
    expect(change('REMOVE', { ...images, OldImage })).toEqual({ ...expected, before: old, after: undefined });
    expect(change('REMOVE', { Keys: keyOf('1'), OldImage })).toMatchObject({
      at: 0,
      sequenceNumber: undefined,
    });
  });

  it.each<[string, string, object | undefined]>([
    ['an insert without the new image', 'INSERT', { ...images, OldImage }],
    ['a change without the new image', 'MODIFY', { ...images, OldImage }],
    ['a change without the old image', 'MODIFY', { ...images, NewImage }],
    ['a removal without the old image', 'REMOVE', { ...images, NewImage }],
    ['a change without keys', 'MODIFY', { OldImage, NewImage }],
    ['nothing', 'MODIFY', undefined],
  ])('rejects a stream record of a followed table that contains %s', (_, eventName, dynamodb) => {
    expect(() => change(eventName, dynamodb)).toThrow(
      new RejectedRow('the stream must have keys, new and old images'),
    );
  });
});

describe('The service reads a followed table', () => {
  let client: DynamoDBClient;
  let stop: () => Promise<void>;
  const sent: { name: string; input: object }[] = [];
  let table: SourceTable;
  beforeAll(async () => {
    const engine = await startEngine();
    stop = engine.stop;
    client = new DynamoDBClient({
      endpoint: engine.endpoint,
      region: 'us-east-1',
      credentials: ENGINE_CREDENTIALS,
    });
    await createTable(client, 'platform', [
      ['org', 'S'],
      ['n', 'N'],
    ]);
    for (const n of ['1', '2', '3']) {
      const Item = { ...row(`d${n}`), ...keyOf(n), other: { S: 'x' } };
      await client.send(new PutItemCommand({ TableName: 'platform', Item }));
    }
    const send = (command: { input: object }) => {
      sent.push({ name: command.constructor.name, input: command.input });
      return client.send(command as never);
    };
    table = { client: { send } as never, source };
  });
  afterAll(() => stop());
  beforeEach(() => {
    sent.length = 0;
  });
  const of = (n: string) => ({ deploymentId: `d${n}`, type: 'deployment' });

  it("returns the names of a followed table's key attributes", async () => {
    expect(await readKeyNames(table)).toEqual(['org', 'n']);
    const silent = (Table: object | undefined) =>
      readKeyNames({ client: { send: async () => ({ Table }) } as never, source });
    expect(await silent(undefined)).toEqual([]);
    expect(await silent({ KeySchema: [{}] })).toEqual(['']);
  });

  it("scans a followed table page by page, and reads only the key and the source's attributes", async () => {
    const first = await scanRows(table, ['org', 'n'], { after: undefined, limit: 2 });
    expect(first.rows).toEqual(['1', '2'].map((n) => ({ key: keyOf(n), row: of(n) })));
    const second = await scanRows(table, ['org', 'n'], { after: first.next, limit: 2 });
    expect(second).toEqual({ rows: [{ key: keyOf('3'), row: of('3') }], next: undefined });
    expect(sent[0]?.input).toMatchObject({
      TableName: 'platform',
      Limit: 2,
      ProjectionExpression: '#0, #1, #2, #3, #4, #5',
      ExpressionAttributeNames: {
        '#0': 'org',
        '#1': 'n',
        '#2': 'deploymentId',
        '#3': 'label',
        '#4': 'teams',
        '#5': 'type',
      },
    });
  });

  it('requests a key attribute of a followed table only once, even if the source also names it', async () => {
    const keyed = { ...source, id: 'org' };
    const { rows } = await scanRows({ ...table, source: keyed }, ['org', 'n'], {
      after: undefined,
      limit: 1,
    });
    expect(rows).toEqual([{ key: keyOf('1'), row: { org: 'acme', type: 'deployment' } }]);
    expect(sent[0]?.input).toMatchObject({ ProjectionExpression: '#0, #1, #2, #3, #4' });
  });

  it('reads the current row of a followed table with a strongly consistent read', async () => {
    expect(await readRow(table, keyOf('2'))).toEqual(of('2'));
    expect(await readRow(table, keyOf('9'))).toBeUndefined();
    expect(sent[0]?.input).toMatchObject({
      TableName: 'platform',
      Key: keyOf('2'),
      ConsistentRead: true,
      ProjectionExpression: '#0, #1, #2, #3',
    });
  });
});

describe('The DynamoDB client for a followed table limits its attempts', () => {
  let stub: Stub;
  beforeAll(async () => {
    stub = await startStub();
  });
  afterAll(() => stub.stop());
  const open = (policy: Parameters<typeof openSource>[1]) => {
    vi.stubEnv('AWS_REGION', 'us-east-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'a');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'b');
    vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', stub.endpoint);
    return openSource(source, policy);
  };

  it('the client for a followed table throws a 503 error after its last attempt when DynamoDB hangs', async () => {
    stub.reply(() => damaged.hang());
    const end = readRow(open({ attemptTimeout: 60, attempts: 2 }), keyOf('1'));
    await expect(end).rejects.toMatchObject({
      status: 503,
      cause: { name: 'TimeoutError', $metadata: { attempts: 2 } },
    });
  });

  it('the client for a followed table makes as many attempts as configured', async () => {
    stub.reply(() => failure(500, 'InternalServerError'));
    const end = readRow(open({ attemptTimeout: 5000, attempts: 2 }), keyOf('1'));
    await expect(end).rejects.toMatchObject({ status: 503 });
    expect(stub.calls).toHaveLength(2);
  });

  it.each([
    ['ThrottlingException', { status: 503, cause: expect.objectContaining({ name: 'ThrottlingException' }) }],
    ['ValidationException', { name: 'ValidationException' }],
  ])(
    'a read of a followed table that fails with %s throws 503 only if another attempt can succeed',
    async (name, error) => {
      stub.reply(() => failure(400, name));
      await expect(readRow(open({ attemptTimeout: 5000, attempts: 1 }), keyOf('1'))).rejects.toMatchObject(
        error,
      );
    },
  );
});
