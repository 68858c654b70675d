import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api.ts';
import { ago, exactTime } from './words.ts';

/** The heading of a page and the title of the tab. The heading gets the focus when the page opens. */
export function Heading({ children, title }: { children: ComponentChildren; title: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Deployment API Keys`;
    // On the first page after loading, the focus stays where the browser put it: at the start of the document.
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

/** A relative time, with the exact time on hover. */
export function Time({ of }: { of: string }) {
  return (
    <time dateTime={of} title={exactTime(of)}>
      {ago(of, Date.now())}
    </time>
  );
}

/** Copies a text to the clipboard and confirms it, also to screen readers. */
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
    failed: `Could not copy ${what}. Select it and copy it manually.`,
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

/** A value to copy as a whole: an ID, a secret or a token. */
export function Value({ text, what }: { text: string; what: string }) {
  return (
    <span class="value">
      <code>{text}</code>
      <CopyButton text={text} what={what} />
    </span>
  );
}

/** A value below its label. */
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

/** A warning or an error message. */
export function Notice({ kind, children }: { kind: 'warning' | 'error'; children: ComponentChildren }) {
  return (
    <div class={`notice ${kind}`} role={kind === 'error' ? 'alert' : 'note'}>
      <Icon name="warning" />
      <div>{children}</div>
    </div>
  );
}

/** An error message, with a button to try again. */
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
  return error instanceof ApiError ? error.message : 'Something went wrong. Try again.';
}

/** Placeholders that are as high as the content that is loading. */
export function Skeleton({ rows, label }: { rows: number; label: string }) {
  return (
    <div class="skeleton" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} class="card" />
      ))}
    </div>
  );
}

/** Shown instead of an empty list, with what to do next. */
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
  /** Whether the dialog is wide enough for code. @default false */
  isWide?: boolean;
  /**
   * Whether Escape and the close button close the dialog. False if it shows something that would be lost. @default true
   */
  isDismissible?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

/** A modal dialog. The browser keeps the focus in it and returns the focus when it closes. */
export function Dialog({ title, isWide, isDismissible = true, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const element = dialog.current;
    const from = document.activeElement;
    // When one dialog replaces another, the focus returns to what opened the first one.
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
  // Browsers close a dialog on a second Escape even if `cancel` was prevented, so the key itself is handled.
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

/** The element that had the focus before the first dialog. */
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

/** A form control with its label, hint and error message. */
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
  // If a key has a scope that the stack no longer defines, people can remove it here, but not add it.
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

/** Code to copy as a whole. It has its own scroll bar, which the keyboard can reach. */
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

/** Tabs that follow the ARIA Authoring Practices: the Tab key reaches the list once, and arrow keys move within it. */
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
