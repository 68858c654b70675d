import { expect, it } from 'vitest';
import { maySee, type Person, requireAdministratorOf, visibleTo } from '../../functions/domain/people.ts';
import { deployment } from '../support/records.ts';

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
