import { formatKeyId, isDeploymentId } from '../functions/domain/credentials.ts';
import { newEvent } from '../functions/domain/events.ts';
import {
  type Clock,
  type EpochMillis,
  expiryAfter,
  isUnexpired,
  toMillis,
} from '../functions/domain/expiry.ts';
import { systemActor } from '../functions/domain/people.ts';
import type { TemporaryToken, Token } from '../functions/domain/records.ts';
import { allTemporaryTokens, allTokens, deleteTokens } from '../functions/table/end-tokens.ts';
import { scanDeploymentIds } from '../functions/table/restore.ts';
import type { Table } from '../functions/table/retried-calls.ts';
import { deleteTemporaryToken } from '../functions/table/temporary-tokens.ts';
import { confirm } from './confirm.ts';
import { repeatable, UsageError } from './failure.ts';
import { openPaced } from './table.ts';
import { readMoment } from './times.ts';

/** The options of the `end-tokens` command. */
export interface EndTokensOptions {
  readonly table: string;
  readonly issuedBefore?: string;
  readonly longerThan?: string;
  readonly deployment?: string;
  readonly writeUnits?: string;
  readonly dryRun?: true;
  readonly yes?: true;
}

/** The tokens that a run revokes. Exactly one of the fields is set. */
interface TokenChoice {
  /** Revokes access tokens and temporary tokens that were issued before this time, in epoch milliseconds. */
  issuedBefore?: EpochMillis | undefined;
  /** Revokes access tokens that are still valid for more than this number of seconds. */
  longerThan?: number | undefined;
}

/** The options and callbacks of a run. */
export interface EndTokens extends TokenChoice {
  table: Table;
  clock: Clock;
  /** The Deployment whose tokens are revoked. @default all Deployments */
  deploymentId?: string | undefined;
  isDryRun: boolean;
  /** Receives the key, or `temporary tokens of <Deployment>`, and the number of its revoked tokens. */
  onRevoked: (of: string, count: number) => void;
}

/** Number of tokens of one key that are revoked together, with one event. */
const CHUNK = 1000;
const ACTOR = systemActor('end-tokens');

/**
 * Revokes the chosen tokens by deleting them. An extension that is under way then fails, because it requires the item.
 * @returns the number of revoked tokens
 * @throws ServiceError 503 if the table is unavailable; a later run continues
 */
export async function endTokens(run: EndTokens): Promise<number> {
  const { table, clock, isDryRun, onRevoked, deploymentId } = run;
  const ids = deploymentId === undefined ? scanDeploymentIds(table) : [deploymentId];
  let revoked = 0;
  for await (const id of ids) {
    revoked += await endAccessTokens(id);
    if (run.issuedBefore !== undefined) revoked += await endTemporaryTokens(id);
  }
  return revoked;

  async function endAccessTokens(id: string): Promise<number> {
    const ended = new Map<string, number>();
    let chunk: Token[] = [];
    for await (const token of allTokens(table, id)) {
      if (!isChosen(token, run, clock())) continue;
      const [first = token] = chunk;
      const isSameKey = first.ulid === token.ulid && first.generation === token.generation;
      if (chunk.length === CHUNK || !isSameKey) await flush();
      chunk.push(token);
    }
    await flush();
    for (const [keyId, count] of ended) onRevoked(keyId, count);
    return [...ended.values()].reduce((sum, count) => sum + count, 0);

    async function flush(): Promise<void> {
      const [first] = chunk;
      if (!first) return;
      const keyId = formatKeyId(id, first.ulid);
      if (!isDryRun) {
        const data = { keyId, tokens: chunk.length };
        const of = { id, generation: first.generation };
        await deleteTokens(table, chunk, newEvent('api_key.tokens_revoked', of, ACTOR, clock(), data));
      }
      ended.set(keyId, (ended.get(keyId) ?? 0) + chunk.length);
      chunk = [];
    }
  }

  async function endTemporaryTokens(id: string): Promise<number> {
    let count = 0;
    for await (const temporaryToken of allTemporaryTokens(table, id)) {
      if (!isChosen(temporaryToken, run, clock())) continue;
      count++;
      if (isDryRun) continue;
      const of = { id, generation: temporaryToken.generation };
      const data = { temporaryTokenId: temporaryToken.ulid, sub: temporaryToken.sub };
      await deleteTemporaryToken(
        table,
        temporaryToken,
        newEvent('temporary_token.revoked', of, ACTOR, clock(), data),
      );
    }
    if (count > 0) onRevoked(`temporary tokens of ${id}`, count);
    return count;
  }
}

/**
 * Reports whether a run revokes a token. Returns false for an expired token, because TTL deletes it. The stored time of
 * issue is rounded down to whole seconds, so a token that was issued in the same second as `issuedBefore` can be
 * revoked too.
 */
function isChosen(
  { issuedAt, expiresAt }: Pick<Token | TemporaryToken, 'issuedAt' | 'expiresAt'>,
  { issuedBefore, longerThan }: TokenChoice,
  now: EpochMillis,
): boolean {
  if (!isUnexpired(expiresAt, now)) return false;
  if (issuedBefore !== undefined) return toMillis(issuedAt) < issuedBefore;
  // The limit is rounded up like the expiry of a token that is issued or extended now.
  return longerThan !== undefined && expiresAt > expiryAfter(now, longerThan);
}

function readChoice({ issuedBefore, longerThan }: EndTokensOptions): TokenChoice {
  if ((issuedBefore === undefined) === (longerThan === undefined)) {
    throw new UsageError('Give either --issued-before or --longer-than.');
  }
  if (issuedBefore !== undefined) return { issuedBefore: readMoment(issuedBefore, '--issued-before') };
  if (!/^\d{1,9}$/.test(longerThan ?? '')) {
    throw new UsageError('--longer-than must be a number of seconds, such as 3900.');
  }
  return { longerThan: Number(longerThan) };
}

/** Describes what a run does, for the confirmation prompt. */
function consequenceOf({ issuedBefore, longerThan }: TokenChoice, of: string): string {
  const tokens =
    issuedBefore === undefined
      ? `All access tokens that stay valid for more than ${longerThan} seconds`
      : `All access tokens and temporary tokens issued before ${new Date(issuedBefore).toISOString()}`;
  return `${tokens} are revoked in ${of}. Anything that uses them loses access immediately. This can't be undone.`;
}

async function run(options: EndTokensOptions): Promise<void> {
  const choice = readChoice(options);
  const { table: tableName, deployment, dryRun: isDryRun = false } = options;
  if (deployment !== undefined && !isDeploymentId(deployment)) {
    throw new UsageError('--deployment must be the ID of a Deployment.');
  }
  const table = await openPaced(tableName, options.writeUnits);
  const of = deployment === undefined ? `all Deployments of ${tableName}` : `Deployment ${deployment}`;
  if (!isDryRun) await confirm(consequenceOf(choice, of), deployment ?? tableName, options.yes);
  const count = await endTokens({
    ...choice,
    table,
    clock: Date.now,
    deploymentId: deployment,
    isDryRun,
    onRevoked: (owner, revoked) => console.log(`${String(revoked).padStart(8)} ${owner}`),
  });
  console.log(isDryRun ? `Dry run: ${count} tokens would be revoked.` : `Done: ${count} tokens revoked.`);
}

/** Runs the `end-tokens` command. @throws Failure that says what to do */
export async function runEndTokens(options: EndTokensOptions): Promise<void> {
  try {
    await run(options);
  } catch (error) {
    throw repeatable(error);
  }
}
