import { expect, it } from 'vitest';
import { Template } from '../../local/template.ts';

const resource = (id: string) => ({ [id]: { Type: 'AWS::SQS::Queue', Properties: {} } });

it("resources whose logical IDs have the same beginning get distinct names within AWS's length limits", () => {
  const begin = 'PurgeSourcesContinuations'.repeat(2);
  const ids = [`${begin}A1B2C3D4`, `${begin}FailuresE5F6A7B8`, `${begin.repeat(3)}99990000`, 'Queue'];
  const template = { Resources: Object.assign({}, ...ids.map(resource)) };
  const name = 'a-stack-with-a-long-name-development';
  const assembly = { directory: '.', stacks: [{ stackName: name, template }] };
  const read = new Template(assembly, '-deadbeef');
  const names = read.resources.map((one) => read.ref(one));
  expect(new Set(names).size).toBe(ids.length);
  for (const one of names) expect(one).toMatch(/^[\w-]{1,63}$/);
});
