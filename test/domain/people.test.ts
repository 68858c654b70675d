import { describe, expect, it } from 'vitest';
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

describe("people's access to a Deployment", () => {
  it("administrators and members of a Deployment's groups may see the Deployment", () => {
    expect([admin, member, stranger, person()].map((one) => maySee(one, etl))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(maySee(member, { groups: [] })).toBe(false);
    expect(maySee(admin, { groups: [] })).toBe(true);
  });

  it('visibleTo returns the same 404 for a missing Deployment as for a Deployment that is hidden from the person', () => {
    expect(visibleTo(member, etl)).toBe(etl);
    expect(visibleTo(admin, etl)).toBe(etl);
    expect(() => visibleTo(stranger, etl)).toThrow(noSuchDeployment);
    expect(() => visibleTo(admin, undefined)).toThrow(noSuchDeployment);
  });

  it('requireAdministratorOf throws 403 for a member who may see the Deployment, and 404 for everyone else', () => {
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
});
