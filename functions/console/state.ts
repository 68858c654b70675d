import { createContext } from 'preact';
import { useCallback, useContext, useEffect, useRef, useState } from 'preact/hooks';
import type { Api } from './api.ts';
import type { Config } from './config.ts';
import type { Drafts } from './drafts.ts';
import type { NewKey } from './resources.ts';

/** What every page can use. */
export interface Tools {
  api: Api;
  config: Config;
  drafts: Drafts;
  /** The key that was just created or rotated, with its secret. Kept in memory until its view closes. */
  made: NewKey | undefined;
  setMade: (key: NewKey | undefined) => void;
}

export const ToolsContext = createContext<Tools | undefined>(undefined);

export function useTools(): Tools {
  const tools = useContext(ToolsContext);
  if (!tools) throw new Error('The tools are given in main.tsx.');
  return tools;
}

export interface Loaded<T> {
  data: T | undefined;
  error: unknown;
  /** Loads again. Meanwhile the existing data stays visible. */
  reload: () => void;
  /** Changes the visible data after the service has confirmed a change. */
  update: (change: (data: T) => T) => void;
}

/** Loads data whenever `key` changes, and ignores answers that arrive too late. */
export function useLoad<T>(key: string, load: () => Promise<T>): Loaded<T> {
  const [held, setHeld] = useState<{ key: string; data?: T; error?: unknown }>({ key });
  const latest = useRef(0);
  const reload = useCallback(() => {
    const run = ++latest.current;
    const isLatest = () => run === latest.current;
    setHeld((before) =>
      before.key === key ? { key, ...('data' in before && { data: before.data }) } : { key },
    );
    load().then(
      (data) => isLatest() && setHeld({ key, data }),
      (error) => isLatest() && setHeld({ key, error }),
    );
  }, [key]);
  useEffect(() => {
    reload();
    return () => {
      latest.current++;
    };
  }, [reload]);
  const update = useCallback(
    (change: (data: T) => T) =>
      setHeld((before) => (before.data === undefined ? before : { ...before, data: change(before.data) })),
    [],
  );
  const current = held.key === key ? held : { key };
  return { data: current.data, error: current.error, reload, update };
}

/** A list that is loaded page by page. */
export interface Listing<T> {
  items: T[];
  nextCursor?: string | undefined;
}

/** Returns the state of an action, such as a submission or a revocation, and a function that runs one. */
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
