/**
 * Source files that are mutated together, and the tests that must detect the mutants. The test files run these sources
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
    mutate: ['functions/http/*.ts', 'functions/routes/authorize.ts'],
    tests: ['test/http/*.test.ts', 'test/routes/authorize*.test.ts'],
  },
  table: {
    mutate: ['functions/table/*.ts', '!functions/table/{checks,port,https-transport,sdk-transport}.ts'],
    tests: [
      'test/table/!(checks|transports).test.ts',
      'test/{jobs,operations}/*.test.ts',
      'test/routes/!(console|manage-temporary-tokens|reference|report-leak).test.ts',
      'test/service/group-listings.test.ts',
    ],
  },
  // The table access of a check, and the two transports.
  check: {
    mutate: ['functions/table/{checks,port,https-transport,sdk-transport}.ts'],
    tests: ['test/table/{checks,faults,paced,retried-calls,transports}.test.ts'],
  },
};
