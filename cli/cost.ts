/** Prices in us-east-1, in dollars. docs/cost.md gives the source of each price. */
export const PRICES = {
  '1,000,000 read units on demand': 0.125,
  '1,000,000 write units on demand': 0.625,
  '1 unit of provisioned read capacity for an hour': 0.00013,
  '1 unit of provisioned write capacity for an hour': 0.00065,
  '1,000,000 Lambda requests': 0.2,
  '1 GB-second of Lambda on arm64': 0.0000133334,
  '1,000,000 calls of an HTTP API': 1,
  '1 GB of logs taken in': 0.5,
  '1 GB of storage for a month': 0.25,
  '1 GB of point-in-time recovery for a month': 0.2,
} as const;

/** Bytes that CloudWatch adds to each log line. */
const LINE_OVERHEAD = 26;
/** Size of a line in the access log, and of the log line that counts an issued token, in bytes. */
export const LINES = { access: 240, issued: 444 } as const;

const CHECK = { milliseconds: 10, lines: [], isBehindGateway: false } as const;
const EXCHANGE = { milliseconds: 20, lines: [LINES.access, LINES.issued], isBehindGateway: true } as const;

/** The resources that an operation uses, for a Deployment and a key of the usual size. */
export interface Operation {
  /** The operation's name in the unit table in docs/cost.md. */
  readonly units: string;
  readonly reads: number;
  readonly writes: number;
  /** Billed time of the function in milliseconds. The value is an assumption, and was not measured on AWS. */
  readonly milliseconds: number;
  /** Size of each logged line, in bytes. */
  readonly lines: readonly number[];
  readonly isBehindGateway: boolean;
}

/** The operations in the cost table, by title. */
export const OPERATIONS = {
  'checks by the authorizer, not extended': {
    ...CHECK,
    units: 'Check a token, not extended',
    reads: 3,
    writes: 0,
  },
  'checks by the authorizer, each extended': {
    ...CHECK,
    units: 'Check a token, extended',
    reads: 3,
    writes: 1,
  },
  'checks of a temporary token': { ...CHECK, units: 'Check a temporary token', reads: 3, writes: 0 },
  'checks by `/whoami`, not extended': {
    ...CHECK,
    units: 'Check a token, not extended',
    reads: 3,
    writes: 0,
    lines: [LINES.access],
    isBehindGateway: true,
  },
  'exchanges, not the first in an interval': {
    ...EXCHANGE,
    units: 'Exchange credentials for a token',
    reads: 2,
    writes: 1,
  },
  'exchanges, each the first in an interval': {
    ...EXCHANGE,
    units: 'Exchange credentials for a token, first in an interval',
    reads: 2,
    writes: 2,
  },
} satisfies Record<string, Operation>;

/** How the table's capacity is billed. `use` is the fraction of the provisioned capacity that is used, from 0 to 1. */
export type Capacity = 'on demand' | { readonly use: number };

/** The fraction of the provisioned capacity that docs/cost.md assumes to be in use. */
export const PROVISIONED: Capacity = { use: 0.6 };

/** A cost in dollars, split by billed item. */
export interface Cost {
  readonly table: number;
  readonly requests: number;
  readonly time: number;
  readonly logs: number;
  readonly gateway: number;
}

/**
 * Returns the cost of a million operations in dollars.
 *
 * @param memory memory of the function in MiB
 */
export function costOfMillion(operation: Operation, memory: number, capacity: Capacity): Cost {
  const { reads, writes, milliseconds, lines, isBehindGateway } = operation;
  const bytes = lines.reduce((sum, line) => sum + line + LINE_OVERHEAD, 0);
  return {
    table: reads * priceOfReads(capacity) + writes * priceOfWrites(capacity),
    requests: PRICES['1,000,000 Lambda requests'],
    time: (memory / 1024) * (milliseconds / 1000) * 1e6 * PRICES['1 GB-second of Lambda on arm64'],
    logs: (bytes / 1e9) * 1e6 * PRICES['1 GB of logs taken in'],
    gateway: isBehindGateway ? PRICES['1,000,000 calls of an HTTP API'] : 0,
  };
}

/** Returns the sum of a cost in dollars. */
export const sumOf = (cost: Cost): number => Object.values(cost).reduce((sum, part) => sum + part, 0);

const priceOfReads = (capacity: Capacity) =>
  capacity === 'on demand'
    ? PRICES['1,000,000 read units on demand']
    : provisioned(PRICES['1 unit of provisioned read capacity for an hour'], capacity.use);

const priceOfWrites = (capacity: Capacity) =>
  capacity === 'on demand'
    ? PRICES['1,000,000 write units on demand']
    : provisioned(PRICES['1 unit of provisioned write capacity for an hour'], capacity.use);

/** Returns the price of a million units when only a fraction of the provisioned capacity is used. */
const provisioned = (dollarsPerHour: number, use: number) => (dollarsPerHour / (3600 * use)) * 1e6;

/** The monthly numbers that the reader enters. */
export interface Usage {
  readonly checks: number;
  readonly exchanges: number;
  readonly deployments: number;
  readonly keys: number;
  /** Memory of the functions in MiB. */
  readonly memory: number;
}

/** Number of writes per month for a token or key in steady use: one every 300 s, the default of `slideInterval`. */
const INTERVALS = (30 * 24 * 3600) / 300;
/** Number of reconciliation passes in a month. */
const PASSES = 30 / 7;
/**
 * Size of each item in bytes, including DynamoDB's overhead. Tokens stay in the table for about three days until TTL
 * deletes them.
 */
const BYTES = { token: 260, key: 700, deployment: 1200 };
const TOKEN_DAYS = 3;

/** The monthly cost in dollars, with one line for each part. */
export interface MonthlyCost {
  readonly checks: number;
  readonly exchanges: number;
  readonly storage: number;
  readonly reconciliation: number;
  readonly total: number;
}

/**
 * Returns the monthly cost. It assumes that a key uses one token at a time. At most 8,640 checks of each key then
 * extend a token, and at most 8,640 exchanges record a use; the others do not need a second write. Costs that do not
 * depend on these numbers, such as alarms, are left out.
 */
export function costOfMonth(usage: Usage, capacity: Capacity): MonthlyCost {
  const { checks, exchanges, deployments, keys, memory } = usage;
  const most = keys * INTERVALS;
  const dollars = (title: keyof typeof OPERATIONS, count: number) =>
    (count / 1e6) * sumOf(costOfMillion(OPERATIONS[title], memory, capacity));
  const extended = Math.min(checks, most);
  const recorded = Math.min(exchanges, most);
  const bytes =
    (exchanges / 30) * TOKEN_DAYS * BYTES.token + keys * BYTES.key + deployments * BYTES.deployment;
  const parts = {
    checks:
      dollars('checks by the authorizer, each extended', extended) +
      dollars('checks by the authorizer, not extended', checks - extended),
    exchanges:
      dollars('exchanges, each the first in an interval', recorded) +
      dollars('exchanges, not the first in an interval', exchanges - recorded),
    storage:
      (bytes / 1e9) *
      (PRICES['1 GB of storage for a month'] + PRICES['1 GB of point-in-time recovery for a month']),
    reconciliation: ((PASSES * (bytes / 8192 + 2 * deployments)) / 1e6) * priceOfReads(capacity),
  };
  return { ...parts, total: parts.checks + parts.exchanges + parts.storage + parts.reconciliation };
}
