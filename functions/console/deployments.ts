import { useEffect, useState } from 'preact/hooks';
import { isDeploymentId } from './paths.ts';
import type { Deployment } from './resources.ts';
import { type Listing, type LoadedAll, useAll, useLoad, useTools } from './state.ts';

/**
 * Maximum number of API pages that the console loads. If there are more pages, a search asks the API for IDs that begin
 * with the text.
 */
const MOST = 10;
/** How long to wait for more typing before a search asks the API, in milliseconds. */
const PAUSE = 200;

interface Deployments extends LoadedAll<Deployment> {
  /** The Deployments that match the search, among those that have been loaded. */
  found: Deployment[];
  further: FurtherSearch;
}

/** The search among the Deployments that have not been loaded, for which the console calls the API. */
export interface FurtherSearch {
  isBusy: boolean;
  /** The error of a search that failed; undefined if it did not fail. */
  error: unknown;
  retry: () => void;
}

/** Loads the Deployments that the person can access, and searches them. */
export function useDeployments(search: string): Deployments {
  const { api } = useTools();
  const listing = useAll<Deployment>('deployments', (cursor) => api.deployments(cursor), MOST);
  const isComplete = listing.data !== undefined && listing.data.nextCursor === undefined;
  const wanted = search.trim();
  const searchedId = !isComplete && isDeploymentId(wanted) ? wanted : '';
  const prefix = useDelayed(searchedId);
  const begin = useLoad<Listing<Deployment>>(`deployments that begin with ${prefix}`, async () =>
    prefix === '' ? { items: [] } : api.deployments(undefined, prefix),
  );
  const known = listing.data?.items ?? listing.partial;
  const ids = new Set(known.map(({ id }) => id));
  const others = begin.data?.items.filter(({ id }) => !ids.has(id)) ?? [];
  const error = searchedId === '' ? undefined : begin.error;
  const isBusy = searchedId !== '' && error === undefined && (searchedId !== prefix || !begin.data);
  return {
    ...listing,
    found: matching([...known, ...others], search),
    further: { isBusy, error, retry: begin.reload },
  };
}

/** Returns the entries whose ID or name contains the text. Entries whose ID begins with the text come first. */
export function matching<T extends { id: string; name: string }>(entries: readonly T[], search: string): T[] {
  const wanted = search.trim().toLowerCase();
  if (!wanted) return [...entries];
  const begins = ({ id }: T) => Number(id.toLowerCase().startsWith(wanted));
  return entries
    .filter(({ id, name }) => `${id}\n${name}`.toLowerCase().includes(wanted))
    .toSorted((one, other) => begins(other) - begins(one));
}

/** Returns a value once it has stayed the same for a short time. */
function useDelayed(value: string): string {
  const [delayed, setDelayed] = useState(value);
  useEffect(() => {
    const timer = setTimeout(setDelayed, PAUSE, value);
    return () => clearTimeout(timer);
  }, [value]);
  return delayed;
}
