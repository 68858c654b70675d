import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { components } from '../functions/openapi/api-types.ts';
import { type Api, allOf, resultOf } from './api.ts';
import { EXIT, Failure, UsageError } from './failure.ts';

type Key = components['schemas']['ApiKey'];

/** The progress of a listing of all Deployments. It contains no secrets. */
interface State {
  /** Identifies the listing. A progress file can continue only the listing that created it. */
  readonly listing: string;
  /** Cursor of the current page of Deployments; absent for the first page. */
  readonly cursor?: string | undefined;
  /** The Deployments on the current page whose keys have already been read. */
  readonly examined: readonly string[];
  /** Number of Deployments examined in all runs. */
  readonly count: number;
  readonly found: readonly Key[];
}

/** Options that limit and continue a listing of all Deployments. */
export interface WalkOptions {
  /** Identifies the service and the filters. */
  readonly listing: string;
  readonly isWanted: (key: Key) => boolean;
  /** File that stores the progress, so that the next run can continue. */
  readonly progressFile: string | undefined;
  /** Maximum number of Deployments to examine in this run. */
  readonly maxDeployments: number;
}

/** Returns a key's status, with a note if the key's item in the table is malformed. */
export const statusText = ({ status, malformed }: Key) => (malformed ? `${status}, malformed` : status);

/** Returns all keys of a Deployment. @throws Failure */
export function keysOf(api: Api, deploymentId: string): Promise<Key[]> {
  return allOf((cursor) => {
    const params = { path: { deploymentId }, query: { limit: 100, ...(cursor && { cursor }) } };
    return resultOf(api, api.client.GET('/deployments/{deploymentId}/api-keys', { params }));
  });
}

/**
 * Returns the matching keys of all Deployments that the caller can access. Reads one Deployment after another, in pages
 * of at most 100 keys. With a progress file, the function continues where the last run stopped. The caller removes the
 * file when it has printed the keys.
 *
 * @throws Failure if the service rejects a call, or if Deployments remain after `maxDeployments`; the file keeps the progress
 */
export async function keysOfAllDeployments(api: Api, options: WalkOptions): Promise<readonly Key[]> {
  const { listing, progressFile } = options;
  let state = progressFile === undefined ? newState(listing) : readState(progressFile, listing);
  try {
    for await (const next of walk(api, state, options)) state = next;
  } catch (error) {
    if (progressFile === undefined || !(error instanceof Failure)) throw error;
    writeState(progressFile, state);
    throw new Failure(`${error.message} Run the same command again to continue.`, error.exitCode);
  }
  return state.found;
}

/** Examines the remaining Deployments, and yields the progress after each Deployment and each page. @throws Failure */
async function* walk(
  api: Api,
  begin: State,
  { isWanted, progressFile, maxDeployments }: WalkOptions,
): AsyncGenerator<State> {
  let state = begin;
  for (;;) {
    const { items, nextCursor } = await deploymentsAt(api, state.cursor);
    for (const { id } of items) {
      if (state.examined.includes(id)) continue;
      if (state.count - begin.count === maxDeployments) throw incomplete(state.count);
      state = withKeys(state, id, (await keysOrNone(api, id)).filter(isWanted));
      yield state;
    }
    if (nextCursor === undefined) return;
    state = { ...state, cursor: nextCursor, examined: [] };
    console.error(`${state.count} Deployments examined, ${state.found.length} keys found`);
    if (progressFile !== undefined) writeState(progressFile, state);
    yield state;
  }
}

function deploymentsAt(api: Api, cursor: string | undefined) {
  const query = { limit: 100, ...(cursor !== undefined && { cursor }) };
  return resultOf(api, api.client.GET('/deployments', { params: { query } }));
}

/** Returns the progress after a Deployment whose matching keys are `keys`. */
const withKeys = (state: State, deploymentId: string, keys: readonly Key[]): State => ({
  ...state,
  examined: [...state.examined, deploymentId],
  count: state.count + 1,
  found: keys.length > 0 ? [...state.found, ...keys] : state.found,
});

const incomplete = (count: number) =>
  new Failure(`${count} Deployments have been examined, and others remain.`, EXIT.incomplete);

/** Returns the keys of a Deployment, or none if the Deployment was deleted after it was listed. */
async function keysOrNone(api: Api, deploymentId: string): Promise<Key[]> {
  try {
    return await keysOf(api, deploymentId);
  } catch (error) {
    if (error instanceof Failure && error.exitCode === EXIT.notFound) return [];
    throw error;
  }
}

const newState = (listing: string): State => ({ listing, examined: [], count: 0, found: [] });

/** Reads the progress of an earlier run. @throws UsageError if the file belongs to a different listing */
function readState(path: string, listing: string): State {
  if (!existsSync(path)) return newState(listing);
  const other = new UsageError(
    `${path} does not hold the progress of this listing. Use the same options as before, or delete the file to begin again.`,
  );
  let state: Partial<State> | null;
  try {
    state = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw other;
  }
  if (state?.listing !== listing) throw other;
  return { ...newState(listing), ...state };
}

/** Replaces the file in one step, so that after an interruption it contains either the old progress or the new one. */
function writeState(path: string, state: State): void {
  const next = `${path}.next`;
  writeFileSync(next, JSON.stringify(state), { mode: 0o600 });
  renameSync(next, path);
}
