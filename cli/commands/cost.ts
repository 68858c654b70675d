import type { Command } from 'commander';
import { addCommand, jsonOption } from '../command.ts';
import { UsageError } from '../failure.ts';
import { printTable } from '../table-text.ts';

interface Options {
  readonly checks: string;
  readonly exchanges: string;
  readonly deployments: string;
  readonly keys: string;
  readonly memory: string;
  readonly use: string;
  readonly json?: true;
}

/** Adds `cost`, which calculates the monthly cost. */
export function addCost(program: Command): void {
  const command = addCommand(program, 'cost', {
    summary: 'Calculate what a month costs with your numbers',
    description:
      'Calculates what a month costs in us-east-1, on demand and with provisioned capacity, from the prices of docs/cost.md: look up the ' +
      'prices of your Region. The cost does not include what is independent of these numbers, such as alarms, and the gateway ' +
      'of the API behind the authorizer. Nothing is sent.',
    examples: [
      'cost --checks 100000000 --exchanges 1000000',
      'cost --checks 100000000 --exchanges 1000000 --deployments 500 --keys 2000 --memory 512 --json',
    ],
  });
  command
    .option('--checks <number>', 'Checks by the authorizer in a month.', '1000000')
    .option('--exchanges <number>', 'Exchanges of credentials for a token in a month.', '1000000')
    .option('--deployments <number>', 'Registered Deployments.', '100')
    .option('--keys <number>', 'API keys in use.', '100')
    .option('--memory <MiB>', 'Memory of the functions, as the setting memory says.', '256')
    .option('--use <percent>', 'How much of the provisioned capacity is used, from 1 to 100.', '60')
    .addOption(jsonOption())
    .action(async (options: Options) => {
      const { costOfMonth } = await import('../cost.ts');
      const use = whole(options.use, '--use', 100);
      if (use === 0) throw new UsageError('--use must be from 1 to 100.');
      const usage = {
        checks: whole(options.checks, '--checks'),
        exchanges: whole(options.exchanges, '--exchanges'),
        deployments: whole(options.deployments, '--deployments'),
        keys: whole(options.keys, '--keys'),
        memory: whole(options.memory, '--memory', 10_240),
      };
      const onDemand = costOfMonth(usage, 'on demand');
      const provisioned = costOfMonth(usage, { use: use / 100 });
      if (options.json) return console.log(JSON.stringify({ usage, onDemand, provisioned }));
      const row = (name: string, part: keyof typeof onDemand) => [
        name,
        onDemand[part].toFixed(2),
        provisioned[part].toFixed(2),
      ];
      printTable(
        ['$ A MONTH', 'ON DEMAND', `PROVISIONED, ${use} % USED`],
        [
          row('checks', 'checks'),
          row('exchanges', 'exchanges'),
          row('storage and recovery', 'storage'),
          row('reconciliation', 'reconciliation'),
          row('total', 'total'),
        ],
        '',
      );
    });
}

/** Parses an option's value as a whole number. @throws UsageError that names the option */
function whole(text: string, option: string, most = 1e15): number {
  const number = /^\d{1,15}$/.test(text.replaceAll(/[_,]/g, '')) ? Number(text.replaceAll(/[_,]/g, '')) : -1;
  if (number >= 0 && number <= most) return number;
  throw new UsageError(`${option} must be a whole number from 0 to ${most}.`);
}
