import { cpus, release, totalmem } from 'node:os';
import { costOfMillion, OPERATIONS, PRICES, PROVISIONED, sumOf } from '../../../cli/cost.ts';
import { type ColdStart, type ColdStarts, USUAL, WITHOUT_ENTRY } from './cold.ts';
import type { localStarts } from './local-start.ts';
import { median, type Spread, spread } from './numbers.ts';

/** Calls per second, and CPU time of the contender's process in microseconds per call. */
export type Rates = Record<string, Spread & { cpu?: number }>;

/** All measurements of one run of the benchmark. */
export interface Figures {
  begun: { at: Date; load: number };
  loadAfter: number;
  quick: boolean;
  passes: number;
  checks: { rates: Rates; connections: Record<string, Spread> };
  extensions: Rates;
  exchanges: Rates;
  management: Rates;
  pooled: Spread;
  /** Start times in milliseconds. All of them except the empty file's are relative to the median of the empty file. */
  starts: Record<string, Spread>;
  cold: ColdStarts;
  /** Init of each function in milliseconds. All times except that of the empty file are relative to its median. */
  inits: Record<string, Spread>;
  /** Undefined if the benchmark has no second checkout for comparison. */
  localStart: Awaited<ReturnType<typeof localStarts>> | undefined;
  /** Bundle sizes in bytes. */
  weights: Record<string, number>;
  /** CPU time in microseconds. */
  cpu: { https: number; sdk: number }[];
  asFunctions: AsFunctions[];
  /** Latency in milliseconds. */
  latency: { check: number; bare: number }[];
  /** Read and write capacity units. */
  units: { notDue: number[]; due: number[]; dueAndRecorded: number[] };
  /** Read units of a member's listing of 3 Deployments, for a person in one group and in ten groups. */
  listing: { deployments: number; one: number; ten: number };
  /** Rates in items per second, and heap sizes in bytes. */
  purge: { purge: number; raw: number; memory: number }[];
  deletes: { tries: number; accepted: number; before: number };
  /** Checks per second. */
  growth: Record<string, number[]>;
}

/** Calls per second without HTTP. `verify` and `create` are calls to better-auth. */
export interface AsFunctions {
  check: number;
  sliding: number;
  verify: number;
  exchange: number;
  create: number;
}

export interface Goal {
  measure: string;
  against: string;
  goal: string;
  reached: string;
  isReached: boolean;
  /** True for a rate or duration, which depends on the machine and its other load. */
  isRate: boolean;
  /** Heading in docs/performance-limits.md that explains why the goal is missed, as an anchor. */
  limit?: string;
}

/**
 * Returns goals that are known to be missed here, with the explanation. A goal whose result is much worse than the
 * explained one has no explanation.
 * @param limited the goals, each with the largest part of the goal that the result can miss, such as 0.4
 */
const limitedBy = (limit: string, ...limited: [goal: Goal, most: number][]): Goal[] =>
  limited.map(([goal, most]) => {
    const [aim, reached] = [goal.goal.replace(/^\D+/, ''), goal.reached].map(Number) as [number, number];
    return Math.abs(aim - reached) <= most * aim ? { ...goal, limit } : goal;
  });

/** The contenders that the benchmark compares with this service's checks and exchanges. */
const VERIFY = 'better-auth verify';
const INTROSPECT = 'oidc-provider introspection';
const CREATE = 'better-auth create';
const ISSUE = 'oidc-provider client_credentials';

/** Returns the ratio of two medians. */
function ratio(rates: Record<string, Spread>, ours: string, peer: string): number {
  return (rates[ours]?.median ?? Number.NaN) / (rates[peer]?.median ?? Number.NaN);
}

const atLeast = (measure: string, against: string, least: number, reached: number): Goal => ({
  measure,
  against,
  goal: `≥ ${least}`,
  reached: reached.toFixed(2),
  isReached: reached >= least,
  isRate: true,
});
const atMost = (measure: string, against: string, most: number, reached: number): Goal => ({
  measure,
  against,
  goal: `≤ ${most}`,
  reached: reached.toFixed(2),
  isReached: reached <= most,
  isRate: true,
});

export function goals(figures: Figures): Goal[] {
  const { checks, extensions, exchanges, asFunctions, starts, cpu, latency, units, listing, purge, deletes } =
    figures;
  const noExtension = 'checks/s, no extension due, 32 connections';
  const sliding = 'checks/s, every one sliding, 32 connections';
  const exchanging = 'exchanges/s, 32 connections';
  const ofFunctions = (ours: keyof AsFunctions, peer: keyof AsFunctions) =>
    median(asFunctions.map((one) => one[ours] / one[peer]));
  const [small, ...larger] = growth(figures);
  const flattest = Math.max(
    larger.length > 0 ? 0 : Number.NaN,
    ...larger.map(({ rates }) => Math.abs(1 - rates.median / (small?.rates.median ?? Number.NaN))),
  );
  const unitsOf = [...units.notDue, ...units.due].join(' ');
  const atDefault = coldOf(figures, 'authorize').find(({ memory }) => memory === DEFAULT_MEMORY);
  const size =
    (figures.weights.authorize ?? Number.NaN) + (figures.weights['entry of authorize'] ?? Number.NaN);
  return [
    ...(atDefault
      ? [
          atMost(
            `first check after a cold start, CPU share of ${DEFAULT_MEMORY} MB, through the deployed entry`,
            'warm p50, same CPU share',
            2,
            atDefault.first.median / atDefault.warm.median,
          ),
        ]
      : []),
    atMost(
      'init of the functions for people, the slowest, over bare node',
      USUAL,
      0.7,
      Math.max(...FOR_PEOPLE.map((name) => ratio(figures.inits, name, USUAL))),
    ),
    ...(
      [
        ['on demand', 0.76],
        [PROVISIONED, 0.52],
      ] as const
    ).map(([capacity, most]) => ({
      ...atMost(
        `$ of a million checks at ${DEFAULT_MEMORY} MB, ${capacity === 'on demand' ? capacity : 'provisioned, 60 % used'}`,
        '$0.82, the cost on 26 November 2026',
        most,
        sumOf(costOfMillion(CHECK, DEFAULT_MEMORY, capacity)) / 0.82,
      ),
      isRate: false,
    })),
    ...(figures.localStart
      ? [
          atMost(
            'npm start until it is ready, nothing changed',
            'the checkout before this work',
            0.7,
            figures.localStart.now.ready / figures.localStart.before.ready,
          ),
          atMost(
            'npm start until its first line, s',
            'half a second',
            0.5,
            figures.localStart.now.first / 1000,
          ),
        ]
      : []),
    {
      ...atMost('bundle of the authorizer with its entry, KiB', '30 KiB', 30, size / 1024),
      isRate: false,
    },
    atMost(
      'CPU of a check, whole handler',
      'the same handler on SDK v3',
      0.45,
      median(cpu.map(({ https, sdk }) => https / sdk)),
    ),
    ...limitedBy(
      'checks-per-second',
      [atLeast(noExtension, VERIFY, 3.5, ratio(checks.rates, 'check', VERIFY)), 0.5],
      [atLeast(`${noExtension}, called as functions`, VERIFY, 3.5, ofFunctions('check', 'verify')), 0.4],
      [atLeast(noExtension, INTROSPECT, 0.9, ratio(checks.rates, 'check', INTROSPECT)), 0.5],
      [atLeast(sliding, VERIFY, 1.6, ratio(extensions, 'sliding', VERIFY)), 0.4],
      [atLeast(`${sliding}, called as functions`, VERIFY, 1.6, ofFunctions('sliding', 'verify')), 0.45],
    ),
    atLeast(sliding, 'naive design', 4, ratio(extensions, 'sliding', 'naive')),
    atMost(
      'p50 of a check, no extension due, 1 connection',
      'one bare BatchGetItem by the same client',
      1.25,
      median(latency.map((one) => one.check / one.bare)),
    ),
    ...limitedBy('start-to-first-check', [
      atMost(
        'start to first check, over bare node',
        'the same handler on the SDK',
        0.25,
        ratio(starts, 'authorize', 'authorize on the SDK'),
      ),
      0.5,
    ]),
    ...limitedBy(
      'exchanges-per-second',
      [atLeast(exchanging, CREATE, 1.3, ratio(exchanges, 'exchange', CREATE)), 0.5],
      [atLeast(`${exchanging}, called as functions`, CREATE, 1.3, ofFunctions('exchange', 'create')), 0.5],
      [atLeast(exchanging, 'oidc-provider issue', 0.45, ratio(exchanges, 'exchange', ISSUE)), 0.55],
    ),
    ...limitedBy('purge', [
      atLeast(
        'purge',
        'the engine’s best raw batch rate',
        0.9,
        median(purge.map((one) => one.purge / one.raw)),
      ),
      0.45,
    ]),
    {
      measure: 'units of a check',
      against: 'no extension due; due',
      goal: '3 read; 3 read + 1 write',
      reached: unitsOf,
      isReached: unitsOf === '3 0 3 1',
      isRate: false,
    },
    {
      measure: 'read units of a member’s listing of 3 Deployments',
      against: `${whole(listing.deployments)} Deployments; one group; ten groups`,
      goal: '≤ 10',
      reached: `${listing.one}; ${listing.ten}`,
      isReached: listing.one <= 10 && listing.ten <= 10,
      isRate: false,
    },
    {
      measure: 'checks allowed after the deletion had succeeded',
      against: `${deletes.tries} tries`,
      goal: '0',
      reached: String(deletes.accepted),
      isReached: deletes.accepted === 0 && deletes.before > 0,
      isRate: false,
    },
    atMost('checks/s as the table grows, largest change', `${small?.name}`, 0.1, flattest),
  ];
}

const coldOf = ({ cold }: Figures, name: string): ColdStart[] =>
  typeof cold === 'string' ? [] : (cold[name] ?? []);

/** The memory that the stack gives the functions that callers wait for, in MB. */
const DEFAULT_MEMORY = 256;
const CHECK = OPERATIONS['checks by the authorizer, not extended'];
/** The functions that people call. */
const FOR_PEOPLE = [
  ...['console', 'end-access', 'list-events', 'manage-deployments', 'manage-keys', 'manage-people'],
  ...['manage-temporary-tokens', 'reference', 'report-leak'],
];

/** Returns the paragraph about the cost of a check after a cold start and in a warm function. */
function answer(figures: Figures): string {
  const rows = coldOf(figures, 'authorize').map(({ memory, init, first, warm }) => {
    const billed = { ...CHECK, milliseconds: Math.ceil(warm.median) };
    const seconds = (init.median + first.median) / 1000;
    const price = PRICES['1 GB-second of Lambda on arm64'];
    return [
      String(memory),
      (init.median + first.median).toFixed(0),
      warm.median.toFixed(1),
      sumOf(costOfMillion(billed, memory, 'on demand')).toFixed(2),
      sumOf(costOfMillion(billed, memory, PROVISIONED)).toFixed(2),
      ((memory / 1024) * seconds * 1000 * price).toFixed(4),
    ];
  });
  if (rows.length === 0) {
    return `**This run could not measure cold starts**, because it was not allowed to set a CPU quota: ${figures.cold}`;
  }
  return `${table(
    [
      'memory, MB',
      'a cold check, ms',
      'a warm check, ms',
      '$ per million checks, on demand',
      'the same, provisioned and 60 % used',
      '$ per thousand cold starts',
    ],
    rows,
  )}

A cold check is init and the first check. The CPU share is that of a Lambda function with this memory, simulated on this machine
([Cold starts](#cold-starts)); the network and DynamoDB's own time, a few milliseconds on AWS, are not included. The dollars are
calculated with the prices and [units of the cost page](cost.md#dollars) for a check that does not extend its token, and with
the warm time, rounded up to whole milliseconds. The cost page assumes 10 ms. The default is ${DEFAULT_MEMORY} MB.`;
}

/** Formats the cold starts. */
function coldTable({ cold }: Figures): string {
  if (typeof cold === 'string')
    return `This run was not allowed to set a CPU quota, so there are no figures: ${cold}`;
  return table(
    [
      '',
      'MB',
      'init, whole core, ms',
      'init, CPU share, ms',
      'first call, ms',
      'warm p50, ms',
      'first : warm',
    ],
    Object.entries(cold).flatMap(([name, rows]) =>
      rows.map(({ memory, init, slowInit, first, warm }) => [
        name,
        String(memory),
        range(init),
        range(slowInit),
        range(first, 1),
        range(warm, 1),
        (first.median / warm.median).toFixed(1),
      ]),
    ),
  );
}

/** Compares CPU times per operation, which the shared cores and the embedded engine do not limit. */
function cpuTable({ checks, exchanges }: Figures): string {
  const row = (what: string, rates: Rates, ours: string, peer: string, other: string) => {
    const cpu = (name: string) => rates[name]?.cpu ?? Number.NaN;
    return [
      what,
      whole(cpu(ours)),
      `${whole(cpu(peer))} (${(cpu(ours) / cpu(peer)).toFixed(2)})`,
      `${whole(cpu(other))} (${(cpu(ours) / cpu(other)).toFixed(2)})`,
    ];
  };
  return table(
    ['CPU of the process, µs', 'ours', 'better-auth (ours : its)', 'oidc-provider (ours : its)'],
    [
      row('a check', checks.rates, 'check', VERIFY, INTROSPECT),
      row('an exchange', exchanges, 'exchange', CREATE, ISSUE),
    ],
  );
}

const growth = ({ growth: rates }: Figures) =>
  Object.entries(rates).map(([name, all]) => ({ name, rates: spread(all) }));

const whole = (number: number) => Math.round(number).toLocaleString('en');
const range = ({ median: middle, min, max }: Spread, digits = 0) =>
  digits > 0
    ? `${middle.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`
    : `${whole(middle)} (${whole(min)}–${whole(max)})`;

function table(head: string[], rows: string[][]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Formats rates as a table, each with its ratio to a reference rate. */
function rateTable(unit: string, rates: Rates, one: string): string {
  const rows = Object.entries(rates).map(([name, all]) => [
    name,
    range(all),
    ratio(rates, name, one).toFixed(2),
    all.cpu ? whole(all.cpu) : '',
    all.cpu ? ((rates[one]?.cpu ?? Number.NaN) / all.cpu).toFixed(2) : '',
  ]);
  return table(
    ['', `${unit}: median (min–max)`, `${one} = 1`, 'CPU of its process, µs each', `${one}'s CPU over it`],
    rows,
  );
}

export function report(figures: Figures): { markdown: string; svg: string } {
  const [processor] = cpus();
  const isShared = Math.max(figures.begun.load, 0) > 0.7;
  const smallest = growth(figures)[0]?.rates.median ?? Number.NaN;
  const markdown = `# Performance

With this page, you can see what a check costs, in milliseconds and dollars, cold and warm.

${answer(figures)}

Written by \`npm run verify:bench\`; do not edit. **Not measured on AWS.** Everything runs on one machine over loopback, against the
embedded engine with its stream off. Compare only ratios, and only within one run.

Measured ${figures.begun.at.toISOString().slice(0, 16).replace('T', ' ')} UTC on ${cpus().length} cores (${processor?.model}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()},
Node ${process.versions.node}. Load average ${figures.begun.load.toFixed(1)} before the run and ${figures.loadAfter.toFixed(1)} at its end${
    isShared
      ? ': **other processes used the machine during the run, so even\nthe ratios are rough; run it again on an idle machine**'
      : ''
  }. After a pass to warm up, there are ${figures.passes} passes, each with another
order of the contenders. Figures are the median, minimum and maximum of the passes. A response that is not a success fails the run.
The CPU time of a contender's process excludes the engine, which is a separate process for our service and part of the process for the
peers. If each process had its own core, the rate would depend only on this CPU time.

To measure the latency of your own stack, run this command near it. \`$KEYS_URL\` is the stack's output \`ApiUrl\`; \`DEPLOYMENT_TOKEN\` must
hold an access token:

\`\`\`sh
npm run verify:bench -- --url "$KEYS_URL"    # p50 and p99 of GET /whoami
\`\`\`

## Goals

${table(
  ['measure', 'against', 'goal', 'reached', ''],
  goals(figures).map(({ measure, against, goal, reached, isReached, limit }) => [
    measure,
    against,
    goal,
    reached,
    isReached ? 'yes' : `**no**${limit ? ` ([why](performance-limits.md#${limit}))` : ''}`,
  ]),
)}

[Performance limits](performance-limits.md) explains why some goals are missed, and what is possible.

![Checks per second compared with the peers, better-auth = 1](performance.svg)

## Cold starts

Each process runs the file that Lambda loads, and reads the embedded engine through TLS. The CPU share of a process is
memory / 1,769 of a core, as [AWS documents](https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html), set as a quota of
a control group in periods of 20 ms. AWS does not document the length of the period; 20 ms is from memory. *Init, whole core*:
several people have measured that Lambda does not limit the CPU during init
([one of them](https://bitesizedserverless.com/bite/lambda-cold-start-bootstrap/)); AWS does not document it, so *init, CPU share*
shows the time if it does. Both include Node's startup time. The first call follows init on a whole core, and has only the CPU
share. Each of the later calls begins after a pause of 40 ms, so it can use a whole period's CPU time.
In the row *${WITHOUT_ENTRY}*, the first call opens the connection. The row *${USUAL}* shows Middy, Zod, three Powertools
utilities and lib-dynamodb, with four calls to DynamoDB. Not simulated: loading the code, memory limits, arm64 and DynamoDB's latency.

${coldTable(figures)}

### Init of each function

The time from the start of a process to the end of init on a whole core, over that of an empty file. It includes no call, and for the
functions with an entry not its connection.

${table(
  ['', 'ms over an empty file: median (min–max)', `${USUAL} = 1`],
  Object.entries(figures.inits).map(([name, times]) => [
    FOR_PEOPLE.includes(name) ? `${name}, for people` : name,
    range(times, 1),
    name === 'an empty file' ? '' : ratio(figures.inits, name, USUAL).toFixed(2),
  ]),
)}

## CPU per operation

${cpuTable(figures)}

The process behind \`node:http\` at 32 connections. For the peers, it includes their store in memory; for our service, it does not
include the engine. The rates below depend on the engine too, which shares two cores with everything else.

## Side by side, 32 connections

Each contender is one process behind \`node:http\`. Ours is the deployed bundle, with the engine as a separate process. better-auth uses
its api-key plugin, without a rate limit, on \`node:sqlite\` in memory, and writes at each verification. oidc-provider stores its tokens
in memory and writes nothing. The naive design reads the token, the key and the Deployment one after the other with lib-dynamodb, and
writes the whole token.

### Checks, no extension due

${rateTable('checks/s', figures.checks.rates, VERIFY)}

### Checks, every one sliding

${rateTable('checks/s', figures.extensions, VERIFY)}

### Exchanges

${rateTable('exchanges/s', figures.exchanges, CREATE)}

### Management

${rateTable('calls/s', figures.management, CREATE)}

### The local stack

\`GET /whoami\` through the whole local stack, with its gateway, pools of workers and the proxy that emulates IAM:
${range(figures.pooled)} checks/s. The local stack is built to behave like AWS, not to be fast.

## CPU, latency and start

${table(
  ['', 'ours', 'compared with', 'ratio'],
  [
    [
      'CPU of a check, whole handler, µs; compared with SDK v3',
      ...beside(figures.cpu.map(({ https, sdk }) => [https, sdk])),
    ],
    [
      'checks/s, no extension due, called as functions, 32 at once; compared with better-auth verify',
      ...beside(figures.asFunctions.map((one) => [one.check, one.verify])),
    ],
    [
      'checks/s, every one sliding, called as functions, 32 at once; compared with better-auth verify',
      ...beside(figures.asFunctions.map((one) => [one.sliding, one.verify])),
    ],
    [
      'exchanges/s, called as functions, 32 at once; compared with better-auth create',
      ...beside(figures.asFunctions.map((one) => [one.exchange, one.create])),
    ],
    [
      'p50 of a check, 1 connection, ms; compared with one bare BatchGetItem',
      ...beside(
        figures.latency.map((one) => [one.check, one.bare]),
        3,
      ),
    ],
  ],
)}

${
  figures.localStart
    ? `\`npm start\` with nothing changed, in turn with the checkout before this work: ready after ${whole(figures.localStart.now.ready)} ms
instead of ${whole(figures.localStart.before.ready)} ms, with the first line after ${whole(figures.localStart.now.first)} ms instead of ${whole(figures.localStart.before.first)} ms (medians).

`
    : ''
}${table(
  ['start to first check', 'ms over an empty file: median (min–max)', 'bundle, KiB'],
  Object.entries(figures.starts).map(([name, times]) => [
    name === 'an empty file' ? 'an empty file, from start to end' : name,
    range(times, 1),
    figures.weights[name] ? (figures.weights[name] / 1024).toFixed(1) : '',
  ]),
)}

\`test/infra/bundle.test.ts\` limits the size of the bundle. [Cost](cost.md) lists the units of every operation.

## Purge

${table(
  ['', 'items/s: median (min–max)'],
  [
    ['purge of a deleted Deployment', range(spread(figures.purge.map((one) => one.purge)))],
    [
      'the engine, bare batches of 25 deletes, best of 1, 4 and 8 at once',
      range(spread(figures.purge.map((one) => one.raw))),
    ],
  ],
)}

## Rejected immediately

While checks ran, keys were deleted and disabled, tokens revoked and Deployments deleted. ${whole(figures.deletes.before)} checks were allowed before.
Of ${whole(figures.deletes.tries)} checks that began after such a call had succeeded, ${figures.deletes.accepted} were allowed.

## Larger tables, more connections

${table(
  ['checks in a table with', 'checks/s: median (min–max)', 'ratio'],
  growth(figures).map(({ name, rates }) => [name, range(rates), (rates.median / smallest).toFixed(2)]),
)}

${table(
  ['connections', 'checks/s: median (min–max)'],
  Object.entries(figures.checks.connections).map(([count, rates]) => [count, range(rates)]),
)}

[Scale](scale.md) describes the limits on AWS.
`;
  return { markdown, svg: chart(figures) };
}

/** Returns this service's figure, the other figure and their ratio, each as median (min–max) of the passes. */
function beside(passes: number[][], digits = 0): string[] {
  const ours = spread(passes.map(([one = 0]) => one));
  const other = spread(passes.map(([, two = 0]) => two));
  return [
    range(ours, digits),
    range(other, digits),
    range(spread(passes.map(([one = 0, two = 0]) => one / two)), 2),
  ];
}

/** Draws horizontal bars as plain SVG, which people can read and review without tools. */
function chart({ checks, extensions }: Figures): string {
  const bars = [
    ...bar('no extension due', checks.rates, VERIFY),
    ...bar('every check sliding', extensions, VERIFY),
  ];
  const most = Math.max(...bars.map(({ value }) => value));
  const rows = bars.map(({ label, value, isOurs }, n) => {
    const y = 34 + 26 * n;
    const width = Math.max(1, (value / most) * 380);
    return `  <text x="290" y="${y + 14}" text-anchor="end">${label}</text>
  <rect x="300" y="${y}" width="${width.toFixed(1)}" height="18" fill="${isOurs ? '#0b6e4f' : '#8d99ae'}"/>
  <text x="${(306 + width).toFixed(1)}" y="${y + 14}">${value.toFixed(2)}</text>`;
  });
  const height = 48 + 26 * bars.length;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="760" height="${height}" viewBox="0 0 760 ${height}" font-family="system-ui, sans-serif" font-size="13" role="img">
  <title>Checks per second at 32 connections, better-auth verify = 1</title>
  <rect width="760" height="${height}" fill="#ffffff"/>
  <text x="12" y="20" font-weight="bold">Checks per second at 32 connections, better-auth verify = 1</text>
${rows.join('\n')}
</svg>
`;
}

function bar(kind: string, rates: Record<string, Spread>, one: string) {
  return Object.keys(rates).map((name) => ({
    label: `${name}${name === one ? '' : `, ${kind}`}`,
    value: ratio(rates, name, one),
    isOurs: name === 'check' || name.startsWith('sliding'),
  }));
}
