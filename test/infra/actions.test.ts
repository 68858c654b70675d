import { describe, expect, it } from 'vitest';
import { type Json, SOURCE, templateOf, WITH_ISSUER } from '../support/template.ts';

const template = templateOf({ ...WITH_ISSUER, consoleClientId: 'console', deploymentsSource: SOURCE });

const LOGS = {
  'logs:CreateLogStream': 'each environment writes to a stream of its own',
  'logs:PutLogEvents': 'its log',
};
const PROOF = {
  'dynamodb:BatchGetItem': 'reads key and Deployment (and token) at once, strongly consistent',
};

/** The IAM actions that each function's role allows, each with the call that needs the action. */
const WHY: Record<string, Record<string, string>> = {
  Authorize: {
    ...LOGS,
    ...PROOF,
    'dynamodb:UpdateItem': 'extends the token, records the last use of the key',
  },
  Whoami: { ...LOGS, ...PROOF, 'dynamodb:UpdateItem': 'extends the token, records the last use of the key' },
  IssueToken: {
    ...LOGS,
    ...PROOF,
    'dynamodb:PutItem': 'writes the token, and the event of a first use',
    'dynamodb:UpdateItem': 'notes which secret of a key was used, which ends the older one of a rotation',
  },
  Introspect: { ...LOGS, ...PROOF },
  Revoke: { ...LOGS, ...PROOF, 'dynamodb:DeleteItem': 'deletes the token that is given up' },
  Metadata: LOGS,
  Reference: LOGS,
  Console: LOGS,
  ManageDeployments: {
    ...LOGS,
    'dynamodb:GetItem': 'reads the Deployment before a change, strongly consistent',
    'dynamodb:Query': 'lists the directory',
    'dynamodb:PutItem': 'writes Deployment, directory entry, purge marker and event',
    'dynamodb:UpdateItem': 'changes the name and groups of a Deployment, counts a rejected call',
    'dynamodb:DeleteItem': 'deletes Deployment and directory entry',
  },
  ListEvents: {
    ...LOGS,
    'dynamodb:GetItem': 'reads the Deployment, strongly consistent',
    'dynamodb:Query': "lists a Deployment's events",
    'dynamodb:UpdateItem': 'counts a rejected call',
  },
  PublishEvents: {
    ...LOGS,
    'dynamodb:DescribeStream': "Lambda reads the table's stream with the function's role",
    'dynamodb:GetRecords': "Lambda reads the table's stream with the function's role",
    'dynamodb:GetShardIterator': "Lambda reads the table's stream with the function's role",
    'dynamodb:ListStreams': "Lambda reads the table's stream with the function's role",
    'events:PutEvents': 'tells of them on the bus',
    'sqs:SendMessage': 'Lambda sets aside what was given up',
  },
  ReportLeak: {
    ...LOGS,
    ...PROOF,
    'dynamodb:PutItem': 'writes the event',
    'dynamodb:UpdateItem': 'disables the key whose secret has leaked',
    'dynamodb:DeleteItem': 'deletes the temporary token that has leaked',
  },
  SweepKeys: {
    ...LOGS,
    'dynamodb:GetItem': 'reads where the last run left off, and the Deployment of rejected calls',
    'dynamodb:Query': 'reads the directory, the keys of each Deployment, and the counts of rejected calls',
    'dynamodb:ConditionCheckItem':
      'writes the entries of a Deployment in its groups only if it has not changed',
    'dynamodb:PutItem': 'writes events, the entries of Deployments in their groups, and where it leaves off',
    'dynamodb:UpdateItem': 'records on the key which notices were sent, and removes outdated active days',
    'dynamodb:DeleteItem': 'deletes the count of rejected calls that its event replaces',
  },
  ManageKeys: {
    ...LOGS,
    'dynamodb:GetItem': 'reads the Deployment, the key and the record of an Idempotency-Key',
    'dynamodb:Query': 'lists the keys of a Deployment and the access tokens of a key',
    'dynamodb:PutItem': 'writes the key, the event and the record of an Idempotency-Key',
    'dynamodb:UpdateItem':
      "counts the Deployment's keys up and down, changes a key or revokes its tokens, counts a rejected call",
    'dynamodb:DeleteItem': 'deletes a key, or an access token that is revoked',
    'dynamodb:ConditionCheckItem': "checks in the transaction that the caller's access was not ended",
  },
  ManageTemporaryTokens: {
    ...LOGS,
    'dynamodb:GetItem': 'reads the Deployment and the record of an Idempotency-Key',
    'dynamodb:Query': "lists a Deployment's temporary tokens",
    'dynamodb:PutItem': 'writes the token, the event and the record of an Idempotency-Key',
    'dynamodb:UpdateItem': 'counts a rejected call',
    'dynamodb:ConditionCheckItem':
      'makes sure, in the same transaction, that the Deployment is still registered',
    'dynamodb:DeleteItem': 'deletes a token that is revoked',
  },
  ManagePeople: {
    ...LOGS,
    'dynamodb:GetItem': 'reads the record of a person',
    'dynamodb:BatchGetItem': 'reads the records of the people that a page lists',
    'dynamodb:Query': 'lists people, the keys that the job found, and the events about people',
    'dynamodb:PutItem':
      'writes the record of a person, its entry in the list, the mark of the job and the event',
    'dynamodb:UpdateItem': 'restores the access of a person',
    'dynamodb:ConditionCheckItem': "checks in the transaction that the caller's access was not ended",
    'sqs:SendMessage': 'starts the job about the keys of a person',
  },
  EndAccess: {
    ...LOGS,
    'dynamodb:GetItem': 'reads the record of a person, keys, and what an earlier run found',
    'dynamodb:Query': 'reads the marks of jobs, the directory, and the keys of each Deployment',
    'dynamodb:PutItem': 'records the keys that it found, and writes the events',
    'dynamodb:UpdateItem': 'disables a key, and records how far the job has come',
    'dynamodb:DeleteItem': 'deletes the mark of a finished job',
    'sqs:SendMessage': 'continues a job that ran out of time',
    'sqs:ReceiveMessage': "Lambda reads the queue with the function's role",
    'sqs:DeleteMessage': "Lambda reads the queue with the function's role",
    'sqs:GetQueueAttributes': "Lambda reads the queue with the function's role",
  },
  Reconcile: {
    ...LOGS,
    'dynamodb:Scan': 'reads the whole table once a week, and the source',
    'dynamodb:DescribeTable': 'reads which attributes are the key of the source',
    'dynamodb:Query': 'lists what was heard from the source',
    'kms:Decrypt': 'lets DynamoDB read the source, where that has a key of its own',
    'dynamodb:GetItem':
      'reads its position, marker and item of what seems left behind, and a row of the source',
    'dynamodb:BatchGetItem': 'reads Deployments and directory entries, strongly consistent',
    'dynamodb:UpdateItem':
      'leaves the marker by which the purge deletes, changes what differs from the source',
    'dynamodb:DeleteItem':
      'removes the directory entry of a Deployment that is gone, deletes what the source has no more',
    'dynamodb:PutItem':
      'keeps its position, lists a Deployment that is not listed, registers what the source has',
    'dynamodb:ConditionCheckItem':
      'makes sure, in the same transaction, that the listed Deployment is registered',
  },
  SyncDeployments: {
    ...LOGS,
    'dynamodb:DescribeStream': "Lambda reads the source's stream with the function's role",
    'dynamodb:GetRecords': "Lambda reads the source's stream with the function's role",
    'dynamodb:GetShardIterator': "Lambda reads the source's stream with the function's role",
    'dynamodb:ListStreams': "Lambda reads the source's stream with the function's role",
    'dynamodb:GetItem': 'reads the Deployment, what was last heard of it, and how many were deleted',
    'dynamodb:Query': 'counts the Deployments of the source, of which only a share may be deleted in a day',
    'dynamodb:PutItem':
      'writes Deployment, directory entry, marker, event, what was heard and how many were deleted',
    'dynamodb:UpdateItem': 'changes the name and groups of a Deployment',
    'dynamodb:DeleteItem': 'deletes Deployment and directory entry',
    'sqs:SendMessage': 'sets aside what our rules refuse, and Lambda what was given up',
    'kms:Decrypt': 'lets DynamoDB read the stream of a source that has a key of its own',
  },
  Purge: {
    ...LOGS,
    'dynamodb:GetItem': 'reads whether the generation in which a key was deleted is still registered',
    'dynamodb:Query': 'reads what is left of a generation, and the purge markers',
    'dynamodb:BatchWriteItem': 'deletes 25 items a call',
    'dynamodb:UpdateItem': 'puts a marker where an item was removed by hand',
    'dynamodb:PutItem': 'writes the event of the end',
    'dynamodb:DeleteItem': 'removes the marker, and the directory entry of what was removed by hand',
    'dynamodb:DescribeStream': "Lambda reads the table's stream with the function's role",
    'dynamodb:GetRecords': "Lambda reads the table's stream with the function's role",
    'dynamodb:GetShardIterator': "Lambda reads the table's stream with the function's role",
    'dynamodb:ListStreams': "Lambda reads the table's stream with the function's role",
    'sqs:SendMessage': 'puts off what is left, and Lambda sets aside what was given up',
    'sqs:ReceiveMessage': "Lambda reads the queue with the function's role",
    'sqs:DeleteMessage': "Lambda reads the queue with the function's role",
    'sqs:GetQueueAttributes': "Lambda reads the queue with the function's role",
  },
};

/** Returns the actions that each function's role allows, by the function's construct ID. */
const granted: Record<string, string[]> = {};
for (const { Metadata, Properties } of Object.values<Json>(template.findResources('AWS::IAM::Policy'))) {
  const name = Metadata['aws:cdk:path'].split('/')[2];
  const actions = Properties.PolicyDocument.Statement.flatMap((statement: Json) => statement.Action);
  granted[name] = [...(granted[name] ?? []), ...actions].toSorted();
}

describe("Each function's role allows only the actions that the function needs", () => {
  it('the test lists every function that has a role, and no other function', () => {
    expect(Object.keys(granted).toSorted()).toStrictEqual(Object.keys(WHY).toSorted());
  });

  it("only the reconciliation function's role allows dynamodb:Scan", () => {
    const scanning = Object.keys(granted).filter((name) => granted[name]?.includes('dynamodb:Scan'));
    expect(scanning).toStrictEqual(['Reconcile']);
  });

  it.each(Object.keys(WHY))("the %s function's role allows exactly the listed actions", (name) => {
    expect([...new Set(granted[name])]).toStrictEqual(Object.keys(WHY[name] ?? {}).toSorted());
  });
});
