import { afterEach, expect, it, vi } from 'vitest';
import { UsageError } from '../../local/options.ts';
import { issuerPort, operationsPort, port } from '../../local/ports.ts';

/** Reads the ports with these environment variables. */
function portsWith(variables: Record<string, string>): number[] {
  for (const name of ['PORT', 'ISSUER_PORT', 'OPERATIONS_PORT']) vi.stubEnv(name, variables[name] ?? '');
  return [port(), issuerPort(), operationsPort()];
}

afterEach(() => {
  vi.unstubAllEnvs();
});

it.each([
  [{}, [8787, 8788, 8796]],
  [{ PORT: '9000' }, [9000, 9001, 9009]],
  [{ PORT: '0' }, [0, 0, 0]],
  [{ PORT: '65526' }, [65_526, 65_527, 65_535]],
  [{ PORT: '9000', ISSUER_PORT: '65535', OPERATIONS_PORT: '1' }, [9000, 65_535, 1]],
])(
  'the environment variables %j set the ports of the API, the sign-in and the endpoint for operators',
  (variables, ports) => {
    expect(portsWith(variables)).toEqual(ports);
  },
);

const ROOM = ' The stack also uses the ports after it.';

it.each([
  [{ PORT: '65527' }, `PORT must be a whole number from 0 to 65526, not 65527.${ROOM}`],
  [{ PORT: '-1' }, `PORT must be a whole number from 0 to 65526, not -1.${ROOM}`],
  [{ PORT: 'http' }, `PORT must be a whole number from 0 to 65526, not http.${ROOM}`],
  [{ ISSUER_PORT: '65536' }, 'ISSUER_PORT must be a whole number from 0 to 65535, not 65536.'],
  [{ OPERATIONS_PORT: '1.5' }, 'OPERATIONS_PORT must be a whole number from 0 to 65535, not 1.5.'],
])(
  'the error for an invalid port contains the name of the variable and its range: %j',
  (variables, message) => {
    expect(() => portsWith(variables)).toThrow(new UsageError(message));
  },
);
