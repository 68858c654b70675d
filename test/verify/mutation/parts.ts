/**
 * Sources that are mutated together, and the tests that must detect the mutants. The test files run these sources
 * directly, not a bundle.
 */
export interface Part {
  mutate: string[];
  tests: string[];
}

export const PARTS: Record<string, Part> = {
  domain: {
    mutate: ['functions/domain/*.ts'],
    tests: ['test/domain/*.test.ts'],
  },
  http: {
    mutate: ['functions/http/*.ts'],
    tests: ['test/http/*.test.ts'],
  },
  table: {
    mutate: ['functions/table/*.ts', '!functions/table/{check,faults,lean-check,wire}.ts'],
    tests: ['test/table/!(check|lean-check|lean-tokens|wire).test.ts'],
  },
  /** The two stores of a check, and the calls to DynamoDB without its SDK. */
  check: {
    mutate: ['functions/table/{check,faults,lean-check,wire}.ts'],
    tests: ['test/table/{check,client,faults,wire}.test.ts'],
  },
};
