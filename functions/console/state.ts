import { createContext } from 'preact';
import { useCallback, useContext, useEffect, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import type { Api } from './api.ts';
import type { Config } from './config.ts';
import type { Drafts } from './drafts.ts';
import { releaseGuard } from './guard.ts';
import type { NamedPerson, Person } from './person.ts';
import type { NewKey } from './resources.ts';

/** State and functions that every page can use. */
export interface Tools {
  api: Api;
  config: Config;
  drafts: Drafts;
  person: Person;
  /** Loaded data, kept in memory so that the back button shows a page immediately. */
  cache: Map<string, unknown>;
  /** Re-renders the page after the cache has changed. */
  redraw: () => void;
  /** The key that was just created or rotated, with its secret. It is kept in memory until its view closes. */
  made: NewKey | undefined;
  setMade: (key: NewKey | undefined) => void;
  /** Shows a short confirmation of an action. */
  say: (text: string) => void;
  /** ID of the resource that was just created or changed. Lists highlight it. */
  changed: string | undefined;
  setChanged: (id: string | undefined) => void;
  /** The person shown on the People page. A URL must not contain a `sub`, because other systems might log the URL. */
  chosenPerson: NamedPerson | undefined;
  choosePerson: (person: NamedPerson | undefined) => void;
  /** Whether the page shows exact times instead of relative times. */
  times: { areExact: boolean; toggle: () => void };
}

export const ToolsContext = createContext<Tools | undefined>(undefined);

export function useTools(): Tools {
  const tools = useContext(ToolsContext);
  if (!tools) throw new Error('The tools are given in main.tsx.');
  return tools;
}

/**
 * Applies a change to the loaded data after the service has confirmed it, and repeats every load that began before the
 * change.
 */
export function changeCached<T>(cache: Tools['cache'], key: string, change: (data: T) => T): void {
  cache.set(`changes of ${key}`, changesOf(cache, key) + 1);
  if (cache.has(key)) cache.set(key, change(cache.get(key) as T));
}

const changesOf = (cache: Tools['cache'], key: string): number => Number(cache.get(`changes of ${key}`) ?? 0);

export interface Loaded<T> {
  data: T | undefined;
  error: unknown;
  /** Reloads the data. The existing data stays visible while the new data loads. */
  reload: () => void;
  /** Changes the visible data after the service has confirmed a change. */
  update: (change: (data: T) => T) => void;
}

/**
 * Loads data whenever `key` changes, and ignores responses that arrive too late. Data that was loaded earlier under the
 * same key stays visible while the call runs, and also if the call fails.
 */
export function useLoad<T>(key: string, load: () => Promise<T>): Loaded<T> {
  const { cache, redraw } = useTools();
  const [failed, setFailed] = useState<{ key: string; error: unknown }>();
  const latest = useRef(0);
  const reload = useCallback(() => {
    const run = ++latest.current;
    const isLatest = () => run === latest.current;
    const changes = changesOf(cache, key);
    setFailed(undefined);
    load().then(
      (data) => {
        if (!isLatest()) return;
        // The response can be older than a change that was confirmed in the meantime.
        if (changesOf(cache, key) !== changes) return reload();
        cache.set(key, data);
        redraw();
      },
      (error) => isLatest() && setFailed({ key, error }),
    );
  }, [key]);
  useEffect(() => {
    reload();
    return () => {
      latest.current++;
    };
  }, [reload]);
  const update = (change: (data: T) => T) => {
    changeCached(cache, key, change);
    redraw();
  };
  const data = cache.get(key) as T | undefined;
  return { data, error: failed?.key === key ? failed.error : undefined, reload, update };
}

/** A list that loads page by page. */
export interface Listing<T> {
  items: T[];
  nextCursor?: string | undefined;
}

/** A list of which people load further pages. */
export interface Pages<T> extends Loaded<Listing<T>> {
  /** Loads the next page. */
  more: () => Promise<void>;
}

/**
 * Loads the first page of a list, and further pages on request. Reloading the list loads as many entries as were loaded
 * before, so the entries of later pages do not disappear.
 */
export function usePages<T>(key: string, load: (cursor?: string) => Promise<Listing<T>>): Pages<T> {
  const { cache } = useTools();
  const known = () => cache.get(key) as Listing<T> | undefined;
  const loaded = useLoad<Listing<T>>(key, async () => {
    const wanted = known()?.items.length ?? 0;
    let { items, nextCursor } = await load();
    while (nextCursor && items.length < wanted) {
      const page = await load(nextCursor);
      items = [...items, ...page.items];
      nextCursor = page.nextCursor;
    }
    return { items, nextCursor };
  });
  const more = async () => {
    const page = await load(known()?.nextCursor);
    loaded.update(({ items }) => ({ items: [...items, ...page.items], nextCursor: page.nextCursor }));
  };
  return { ...loaded, more };
}

export interface LoadedAll<T> extends Loaded<Listing<T>> {
  /** The entries loaded so far, in the order of the API. */
  partial: readonly T[];
}

/**
 * Loads all pages of a list, so that the console can search and sort it.
 * @param most maximum number of API pages; the result has a `nextCursor` if the list is longer
 */
export function useAll<T>(
  key: string,
  load: (cursor?: string) => Promise<Listing<T>>,
  most: number,
): LoadedAll<T> {
  const [partial, setPartial] = useState<readonly T[]>([]);
  const loaded = useLoad<Listing<T>>(key, async () => {
    const items: T[] = [];
    let nextCursor: string | undefined;
    for (let pages = 0; pages < most; pages++) {
      const page = await load(nextCursor);
      items.push(...page.items);
      // After an error, a new attempt starts with the first page. The entries of the previous attempt stay visible.
      setPartial((before) => (before.length > items.length ? before : [...items]));
      nextCursor = page.nextCursor;
      if (!nextCursor) break;
    }
    return { items, nextCursor };
  });
  return { ...loaded, partial };
}

/** Returns the state of an action, such as a submission or a revocation, and a function that runs an action. */
export function useAction() {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const run = async (act: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    try {
      await act();
    } catch (caught) {
      setError(caught);
    } finally {
      setBusy(false);
    }
  };
  return { isBusy, error, run };
}

/**
 * Discards a secret when the page is hidden, so that a page that the browser keeps for the back button does not contain
 * it.
 */
export function useDropWhenHidden(drop: () => void): void {
  useEffect(() => {
    addEventListener('pagehide', drop);
    return () => removeEventListener('pagehide', drop);
  }, []);
}

/**
 * Returns a function that closes a dialog. The function goes back in the history, so that the back button does not open
 * the dialog again. If the person opened the dialog by its URL, the page below replaces the dialog's history entry.
 */
export function useClose(page: string, isOpen: boolean): () => void {
  const { route } = useLocation();
  const wasClosed = useRef(!isOpen);
  useEffect(() => {
    if (!isOpen) wasClosed.current = true;
  }, [isOpen]);
  return () => {
    releaseGuard();
    if (wasClosed.current) history.back();
    else route(page, true);
  };
}
