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

describe('a Deployment', () => {
  it('is seen by administrators and by members of one of its groups', () => {
    expect([admin, member, stranger, person()].map((one) => maySee(one, etl))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(maySee(member, { groups: [] })).toBe(false);
    expect(maySee(admin, { groups: [] })).toBe(true);
  });

  it('that is absent and one that may not be seen are the same 404', () => {
    expect(visibleTo(member, etl)).toBe(etl);
    expect(visibleTo(admin, etl)).toBe(etl);
    expect(() => visibleTo(stranger, etl)).toThrow(noSuchDeployment);
    expect(() => visibleTo(admin, undefined)).toThrow(noSuchDeployment);
  });

  it('is changed by administrators alone: 403 for who may see it, 404 for who may not', () => {
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
