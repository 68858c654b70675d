// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the placeholders are CloudFormation's
import { describe, expect, it } from 'vitest';
import { Template } from '../../local/template.ts';

const resource = (Type: string, Properties: Record<string, unknown> = {}, path = 'Stack/X/Resource') => ({
  Type,
  Properties,
  Metadata: { 'aws:cdk:path': path, 'aws:asset:path': 'asset.1' },
});

const template = new Template(
  {
    directory: '/assembly',
    stacks: [
      {
        stackName: 'one',
        template: {
          Resources: {
            Table: resource('AWS::DynamoDB::GlobalTable'),
            Named: resource('AWS::SQS::Queue', { QueueName: { 'Fn::Sub': 'q-${AWS::Region}' } }),
            Fn: resource('AWS::Lambda::Function', {}, 'Stack/IssueToken/Function/Resource'),
            Subject: resource('Test', {
              ref: { Ref: 'Table' },
              arn: { 'Fn::GetAtt': ['Table', 'Arn'] },
              dotted: { 'Fn::GetAtt': 'Table.Arn' },
              stream: { 'Fn::GetAtt': ['Table', 'StreamArn'] },
              joined: { 'Fn::Join': ['-', ['a', { Ref: 'AWS::AccountId' }, { Ref: 'AWS::Partition' }]] },
              sub: { 'Fn::Sub': '${AWS::StackName} ${Table.Arn} ${!Literal}' },
              subWith: { 'Fn::Sub': ['${A}/${Table}', { A: { Ref: 'AWS::Region' } }] },
              picked: { 'Fn::Select': [1, { 'Fn::Split': [':', 'a:b:c'] }] },
              list: ['x', { Ref: 'AWS::NoValue' }],
              plain: { Ref: 'Table', other: 1 },
            }),
            Wrong: resource('Test', { nobody: { Ref: 'Nobody' } }),
            Unknown: resource('Test', { found: { 'Fn::FindInMap': ['a', 'b', 'c'] } }),
          },
          Outputs: {
            Out: {
              Value: { 'Fn::GetAtt': ['Fn', 'Arn'] },
              Export: { Name: { 'Fn::Sub': '${AWS::StackName}:fn' } },
            },
          },
        },
      },
      {
        stackName: 'two',
        template: { Resources: { Importer: resource('Test', { fn: { 'Fn::ImportValue': 'one:fn' } }) } },
      },
    ],
  },
  '-end',
);
const named = (logicalId: string) => {
  const found = template.resources.find((item) => item.logicalId === logicalId);
  if (!found) throw new Error(logicalId);
  return found;
};

const TABLE_ARN = 'arn:aws:dynamodb:us-east-1:000000000000:table/one-Table-end';

describe('The emulator resolves references in a template', () => {
  it('a reference in a template is resolved as CloudFormation does', () => {
    expect(template.properties(named('Subject'))).toEqual({
      ref: 'one-Table-end',
      arn: TABLE_ARN,
      dotted: TABLE_ARN,
      stream: expect.stringMatching(`^${TABLE_ARN}/stream/`),
      joined: 'a-000000000000-aws',
      sub: `one ${TABLE_ARN} \${Literal}`,
      subWith: 'us-east-1/one-Table-end',
      picked: 'b',
      list: ['x'],
      plain: { Ref: 'Table', other: 1 },
    });
  });

  it('a reference to an export of another stack is resolved', () => {
    const arn = 'arn:aws:lambda:us-east-1:000000000000:function:one-Fn-end';
    expect(template.properties(named('Importer'))).toEqual({ fn: arn });
    expect(template.find(arn, 'AWS::Lambda::Function')?.path).toBe('IssueToken/Function/Resource');
  });

  it('a resource has the name that the template sets', () => {
    expect(template.ref(named('Named'))).toBe('q-us-east-1');
    expect(template.attribute(named('Named'), 'Arn')).toBe('arn:aws:sqs:us-east-1:000000000000:q-us-east-1');
  });

  it('a reference to a missing resource or with an unknown intrinsic function is an error', () => {
    expect(() => template.properties(named('Wrong'))).toThrow(
      'one refers to Nobody, which is not one of its resources.',
    );
    expect(() => template.properties(named('Unknown'))).toThrow(
      'does not know Fn::FindInMap, which one uses.',
    );
  });
});

it("assetDirectory returns the directory of a function's code", () => {
  expect(template.assetDirectory(named('Fn'))).toBe('/assembly/asset.1');
});
