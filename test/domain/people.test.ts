import { describe, expect, it } from 'vitest';
import { maySee, type Person, requireAdministrator, visibleTo } from '../../functions/domain/people.ts';
import { deployment } from '../support/records.ts';

const person = (change: Partial<Person> = {}): Person => ({
  sub: 'ada',
  groups: [],
  isAdministrator: false,
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

describe('access of people to a Deployment', () => {
  it('administrators and members of one of its groups may see a Deployment', () => {
    expect([admin, member, stranger, person()].map((one) => maySee(one, etl))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(maySee(member, { groups: [] })).toBe(false);
    expect(maySee(admin, { groups: [] })).toBe(true);
  });

  it('visibleTo returns the same 404 for a missing Deployment and for one that the person may not see', () => {
    expect(visibleTo(member, etl)).toBe(etl);
    expect(visibleTo(admin, etl)).toBe(etl);
    expect(() => visibleTo(stranger, etl)).toThrow(noSuchDeployment);
    expect(() => visibleTo(admin, undefined)).toThrow(noSuchDeployment);
  });

  it('requireAdministrator throws 403 for a member who may see the Deployment and 404 for everyone else', () => {
    expect(requireAdministrator(admin, etl)).toBeUndefined();
    expect(requireAdministrator(admin, undefined)).toBeUndefined();
    expect(() => requireAdministrator(member, etl)).toThrow(
      expect.objectContaining({
        status: 403,
        code: 'forbidden',
        message: 'Only an administrator may do this.',
      }),
    );
    for (const one of [etl, undefined])
      expect(() => requireAdministrator(stranger, one)).toThrow(noSuchDeployment);
  });
});
