import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api.ts';
import { ago, exactTime } from './words.ts';

/** A page's heading, which takes the focus when the page opens, and the title of the tab. */
export function Heading({ children, title }: { children: ComponentChildren; title: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Deployment API Keys`;
    // Not on the first page after loading: there the browser's own start of the document is right.
    if (document.activeElement !== document.body || hasNavigated) heading.current?.focus();
    hasNavigated = true;
  }, [title]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children}
    </h1>
  );
}
let hasNavigated = false;

/** In words, with the exact time on hover. */
export function Time({ of }: { of: string }) {
  return (
    <time dateTime={of} title={exactTime(of)}>
      {ago(of, Date.now())}
    </time>
  );
}

/** Puts a text on the clipboard and says so, aloud too. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [outcome, setOutcome] = useState<'copied' | 'failed'>();
  useEffect(() => {
    if (!outcome) return;
    const timer = setTimeout(setOutcome, 4000, undefined);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setOutcome('copied');
    } catch {
      setOutcome('failed');
    }
  };
  const said = {
    copied: `${what} copied`,
    failed: `${what} could not be copied. Select it and copy it by hand.`,
  };
  return (
    <>
      <button type="button" class="copy" onClick={copy} data-outcome={outcome}>
        <Icon name={outcome === 'copied' ? 'tick' : 'copy'} />
        <span>
          {outcome === 'copied' ? 'Copied' : 'Copy'}
          <span class="unseen"> {what}</span>
        </span>
      </button>
      <span role="status" class={outcome === 'failed' ? 'copy-failed' : 'unseen'}>
        {outcome && said[outcome]}
      </span>
    </>
  );
}

/** A value to be copied whole: an ID, a secret, a token. */
export function Value({ text, what }: { text: string; what: string }) {
  return (
    <span class="value">
      <code>{text}</code>
      <CopyButton text={text} what={what} />
    </span>
  );
}

/** A value under its name, with room. */
export function LabelledValue({ label, text }: { label: string; text: string }) {
  return (
    <div class="labelled">
      <span class="label">{label}</span>
      <Value text={text} what={label} />
    </div>
  );
}

const ICONS = {
  copy: 'M9 9V5a1 1 0 0 1 1-1h9a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-4M5 9h9a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1v-9a1 1 0 0 1 1-1z',
  tick: 'M5 12.5l4.5 4.5L19 7.5',
  close: 'M6 6l12 12M18 6L6 18',
  warning: 'M12 4l9 16H3zM12 10v4M12 17v.01',
  key: 'M12 12a4 4 0 1 1-8 0a4 4 0 0 1 8 0zM12 12h9v3.5M17 12v3',
  out: 'M14 4H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h8M10 12h10M17 8.5l3.5 3.5l-3.5 3.5',
} as const;

export function Icon({ name }: { name: keyof typeof ICONS }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={ICONS[name]} />
    </svg>
  );
}

/** Something to know: a warning, or what went wrong. */
export function Notice({ kind, children }: { kind: 'warning' | 'error'; children: ComponentChildren }) {
  return (
    <div class={`notice ${kind}`} role={kind === 'error' ? 'alert' : 'note'}>
      <Icon name="warning" />
      <div>{children}</div>
    </div>
  );
}

/** What went wrong, with the way on. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <Notice kind="error">
      <p>{wordsOf(error)}</p>
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </Notice>
  );
}

function wordsOf(error: unknown): string {
  return error instanceof ApiError ? error.message : 'Something went wrong here. Try again.';
}

/** Places of what is being loaded, as high as what will come. */
export function Skeleton({ rows, label }: { rows: number; label: string }) {
  return (
    <div class="skeleton" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} class="card" />
      ))}
    </div>
  );
}

/** Nothing there yet, and what to do about it. */
export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name="key" />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Scopes({ scopes }: { scopes: readonly string[] }) {
  if (scopes.length === 0) return <p class="quiet">No scopes</p>;
  return (
    <ul class="scopes" aria-label="Scopes">
      {scopes.map((scope) => (
        <li key={scope}>{scope}</li>
      ))}
    </ul>
  );
}

interface DialogProps {
  title: string;
  /** Wide enough for code. @default false */
  isWide?: boolean;
  /** Escape and the cross close it, unless what it shows would be lost. @default true */
  isDismissible?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

/** A modal dialog: the browser holds the focus in it and gives it back. */
export function Dialog({ title, isWide, isDismissible = true, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const element = dialog.current;
    const from = document.activeElement;
    // From one dialog to the next, the way back is still the first one's.
    if (from instanceof HTMLElement && from !== document.body && !from.closest('dialog')) opener = from;
    element?.showModal();
    return () => {
      element?.close();
      setTimeout(giveFocusBack);
    };
  }, []);
  const onCancel = (event: Event) => {
    event.preventDefault();
    if (isDismissible) onClose();
  };
  // A second Escape closes a dialog whatever `cancel` says: the key itself must be stopped.
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    if (isDismissible) onClose();
  };
  return (
    <dialog
      ref={dialog}
      class={isWide ? 'wide' : undefined}
      aria-labelledby={id}
      onCancel={onCancel}
      onKeyDown={onKeyDown}
    >
      <header>
        <h2 id={id}>{title}</h2>
        {isDismissible && (
          <button type="button" class="plain" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        )}
      </header>
      {children}
    </dialog>
  );
}

/** What had the focus before the first dialog. */
let opener: HTMLElement | undefined;

function giveFocusBack(): void {
  if (document.querySelector('dialog[open]') || document.activeElement !== document.body) return;
  const back = opener?.isConnected ? opener : document.querySelector('h1');
  back?.focus();
}

interface FieldProps {
  label: string;
  hint?: string;
  error?: string | undefined;
  children: (attributes: {
    id: string;
    'aria-describedby': string | undefined;
    'aria-invalid': boolean | undefined;
  }) => JSX.Element;
}

/** A control with its label, its hint and what is wrong with it. */
export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ');
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({
        id,
        'aria-describedby': described || undefined,
        'aria-invalid': error ? true : undefined,
      })}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error && (
        <p class="field-error" id={`${id}-error`}>
          {label} {error}
        </p>
      )}
    </div>
  );
}

interface ScopeChoiceProps {
  known: readonly string[];
  chosen: readonly string[];
  error?: string | undefined;
  onChange: (chosen: string[]) => void;
}

export function ScopeChoice({ known, chosen, error, onChange }: ScopeChoiceProps) {
  const id = useId();
  // A key may have a scope that the stack no longer knows: it can be taken away here, not given.
  const offered = [...known, ...chosen.filter((scope) => !known.includes(scope))];
  const change = (scope: string, isChosen: boolean) =>
    onChange(offered.filter((one) => (one === scope ? isChosen : chosen.includes(one))));
  return (
    <fieldset class="field" aria-describedby={error ? id : undefined}>
      <legend>Scopes</legend>
      <div class="choices">
        {offered.map((scope) => (
          <label key={scope} class="choice">
            <input
              type="checkbox"
              checked={chosen.includes(scope)}
              onChange={(event) => change(scope, event.currentTarget.checked)}
            />
            <span class="mono">{scope}</span>
          </label>
        ))}
      </div>
      {error && (
        <p class="field-error" id={id}>
          Scopes {error}
        </p>
      )}
    </fieldset>
  );
}

/** Code to copy whole. It scrolls by itself, with the keyboard too. */
export function Code({ text, what }: { text: string; what: string }) {
  return (
    <div class="code">
      <CopyButton text={text} what={what} />
      <section aria-label={what}>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
        <pre tabIndex={0}>{text}</pre>
      </section>
    </div>
  );
}

/** Tabs after the ARIA practices: one stop of the Tab key, arrows go from one to the next. */
export function Tabs({
  label,
  tabs,
}: {
  label: string;
  tabs: { id: string; label: string; body: JSX.Element }[];
}) {
  const [chosen, setChosen] = useState(tabs[0]?.id);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const onKeyDown = (event: KeyboardEvent) => {
    const at = tabs.findIndex((tab) => tab.id === chosen);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    const next = to === undefined ? undefined : (to + tabs.length) % tabs.length;
    if (next === undefined) return;
    event.preventDefault();
    setChosen(tabs[next]?.id);
    list.current?.querySelectorAll('button')[next]?.focus();
  };
  return (
    <div class="tabs">
      <div role="tablist" aria-label={label} ref={list} onKeyDown={onKeyDown}>
        {tabs.map((tab) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${id}-${tab.id}`}
            aria-selected={tab.id === chosen}
            aria-controls={`${id}-panel`}
            tabIndex={tab.id === chosen ? 0 : -1}
            onClick={() => setChosen(tab.id)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${chosen}`}>
        {tabs.find((tab) => tab.id === chosen)?.body}
      </div>
    </div>
  );
}
