import { expect, it } from 'vitest';
import {
  isSub,
  latestEnd,
  maySee,
  type Person,
  precedesEnd,
  requireAdministratorOf,
  visibleTo,
} from '../../functions/domain/people.ts';
import { deployment, MADE_AT, seconds } from '../support/records.ts';

const person = (change: Partial<Person> = {}): Person => ({
  sub: 'ada',
  groups: [],
  isAdministrator: false,
  signIn: undefined,
  ...change,
});
const etl = deployment({ groups: ['data-eng', 'ml'] });
const member = person({ groups: ['sales', 'ml'] });
const stranger = person({ groups: ['sales'] });
const admin = person({ isAdministrator: true });
const noSuchDeployment = expect.objectContaining({
  status: 404,
  code: 'not_found',
  message: 'No such Deployment.',
});

it("administrators, and members of a Deployment's groups, may see a Deployment", () => {
  expect([admin, member, stranger, person()].map((one) => maySee(one, etl))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(maySee(member, { groups: [] })).toBe(false);
  expect(maySee(admin, { groups: [] })).toBe(true);
});

it('visibleTo throws the same 404 error for a missing Deployment and for one that the person may not see', () => {
  expect(visibleTo(member, etl)).toBe(etl);
  expect(visibleTo(admin, etl)).toBe(etl);
  expect(() => visibleTo(stranger, etl)).toThrow(noSuchDeployment);
  expect(() => visibleTo(admin, undefined)).toThrow(noSuchDeployment);
});

it("requireAdministratorOf throws a 403 error for a member of the Deployment's groups, and a 404 error for a stranger", () => {
  expect(requireAdministratorOf(admin, etl)).toBeUndefined();
  expect(requireAdministratorOf(admin, undefined)).toBeUndefined();
  expect(() => requireAdministratorOf(member, etl)).toThrow(
    expect.objectContaining({
      status: 403,
      code: 'forbidden',
      message: 'Only an administrator may do this.',
    }),
  );
  for (const one of [etl, undefined])
    expect(() => requireAdministratorOf(stranger, one)).toThrow(noSuchDeployment);
});

it('a sub consists of 1 to 255 printable ASCII characters', () => {
  const accepted = ['a', ' ~', 'auth0|ada', 'a'.repeat(255)];
  const rejected = ['', 'a'.repeat(256), '\na', 'a\n', 'é', 'aé', 'éa', 'a\u007f'];
  expect([...accepted, ...rejected].filter(isSub)).toEqual(accepted);
});

const SIGNED_IN = seconds(MADE_AT / 1000);

it.each([
  ['precedes an end of access at the same time', MADE_AT, SIGNED_IN, true],
  ['precedes an end of access a minute later', MADE_AT + 60_000, SIGNED_IN, true],
  ['precedes an end of access 5 seconds earlier, because clocks can differ', MADE_AT - 5000, SIGNED_IN, true],
  ['does not precede an end of access 5.001 seconds earlier', MADE_AT - 5001, SIGNED_IN, false],
  ['precedes every end of access if its own time is not known', MADE_AT, undefined, true],
  ['precedes no end of access if access was never ended', undefined, SIGNED_IN, false],
])('a sign-in %s', (_, endedAt, signedInAt, expected) => {
  expect(precedesEnd(endedAt, signedInAt)).toBe(expected);
});

it('an end of access applies to sign-ins up to 5 seconds later', () => {
  const signIn = { issuer: 'https://issuer.example', sub: 'ada', at: SIGNED_IN };
  expect(latestEnd(signIn)).toBe(MADE_AT - 5000);
  expect(precedesEnd(latestEnd(signIn), SIGNED_IN)).toBe(true);
});
