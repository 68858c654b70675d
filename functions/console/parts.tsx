import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { ApiError } from './api.ts';
import { paths } from './paths.ts';
import type { Origin } from './resources.ts';
import { useTools } from './state.ts';
import { ago, exactTime, scopeWords } from './words.ts';

/** Sets the heading of a page and the title of the browser tab. The heading gets the focus when the page opens. */
export function Heading({ children, title }: { children: ComponentChildren; title: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Deployment API Keys`;
    // When the console has just loaded, the focus stays where the browser put it: at the start of the document.
    // Going back restores the scroll position, which the focus must not change.
    if (document.activeElement !== document.body || hasNavigated)
      heading.current?.focus({ preventScroll: true });
    hasNavigated = true;
  }, [title]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children}
    </h1>
  );
}
let hasNavigated = false;

/**
 * Shows a relative time, or the exact time if the person has pressed `ExactTimes`. The tooltip shows the other form.
 * @param isExact whether to show both forms where there is space
 */
export function Time({ of, isExact = false }: { of: string; isExact?: boolean }) {
  const { times } = useTools();
  const exact = exactTime(of);
  const relative = ago(of, Date.now());
  return (
    <time dateTime={of} title={times.areExact ? relative : exact}>
      {times.areExact ? exact : relative}
      {isExact && !times.areExact && <span class="exact">{exact}</span>}
    </time>
  );
}

/**
 * A button that switches all times on the page between relative and exact times. Unlike a tooltip, it works with touch
 * screens and the keyboard.
 */
export function ExactTimes() {
  const { times } = useTools();
  return (
    <button type="button" class="small" aria-pressed={times.areExact} onClick={times.toggle}>
      Exact times
    </button>
  );
}

interface PersonNameProps {
  sub: string;
  name?: string | undefined;
  /** Whether the text starts a sentence. @default false */
  isFirst?: boolean;
  /** Whether to show the name as text without a link. @default false */
  isPlain?: boolean;
}

/**
 * Shows the name of a person: `you`, the name if the service knows it, or the `sub`. For administrators, it is a link
 * to the page where they can end that person's access.
 */
export function PersonName({ sub, name, isFirst = false, isPlain = false }: PersonNameProps) {
  const { person, choosePerson } = useTools();
  const { route } = useLocation();
  if (sub === person.sub) return <>{isFirst ? 'You' : 'you'}</>;
  // A key's creator can also be an IAM principal, whose access only the AWS account's administrators can end.
  if (person.isAdministrator && !isPlain && !sub.startsWith('arn:')) {
    const open = () => {
      choosePerson({ sub, name });
      route(paths.people());
    };
    return (
      <button type="button" class="link who" title={name && sub} onClick={open}>
        <bdi>{name ?? sub}</bdi>
      </button>
    );
  }
  return (
    <bdi class="who" title={name && sub}>
      {name ?? sub}
    </bdi>
  );
}

/** Describes the source of a call: `from 203.0.113.7 by github-actions`. */
export function CameFrom({ origin: { address, client } }: { origin: Origin }) {
  if (!address) return null;
  return (
    <>
      from <code>{address}</code>
      {client && (
        <>
          {' '}
          by <bdi>{client}</bdi>
        </>
      )}
    </>
  );
}

/** Copies text to the clipboard, and shows a confirmation that screen readers also announce. */
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

/** A value with a copy button: an ID, a secret or a token. */
function Value({ text, what }: { text: string; what: string }) {
  return (
    <span class="value">
      <code>{text}</code>
      <CopyButton text={text} what={what} />
    </span>
  );
}

/** A label with its value below. */
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
  more: 'M5.5 12v.01M12 12v.01M18.5 12v.01',
  search: 'M10.5 17a6.5 6.5 0 1 1 0-13a6.5 6.5 0 0 1 0 13zM15.5 15.5L20 20',
  stack: 'M12 4l8 4l-8 4l-8-4zM4 12l8 4l8-4M4 16l8 4l8-4',
  people:
    'M9 11a3.5 3.5 0 1 0 0-7a3.5 3.5 0 0 0 0 7zM3 20c0-4 3-6 6-6s6 2 6 6M16 4.5a3.5 3.5 0 0 1 0 6M21 20c0-3-1.500-5-4-5.700',
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

/** Placeholders that are as tall as the content that is loading. */
export function Skeleton({ rows, label, isTable }: { rows: number; label: string; isTable?: boolean }) {
  return (
    <div class={isTable ? 'skeleton table' : 'skeleton'} role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} class={isTable ? 'row' : 'card'} />
      ))}
    </div>
  );
}

interface EmptyProps {
  title: string;
  icon?: keyof typeof ICONS;
  children: ComponentChildren;
}

/** The text that appears instead of an empty list, and says what to do next. */
export function Empty({ title, icon = 'key', children }: EmptyProps) {
  return (
    <div class="empty">
      <Icon name={icon} />
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

interface FieldProps {
  label: ComponentChildren;
  hint?: string | undefined;
  error?: string | undefined;
  children: (attributes: {
    id: string;
    'aria-describedby': string | undefined;
    'aria-invalid': boolean | undefined;
  }) => JSX.Element;
}

/** A form control with its label, hint and error message. */
export function Field({ label, hint, error: rejected, children }: FieldProps) {
  const id = useId();
  const [invalid, setInvalid] = useState<string>();
  // The browser's own message covers the hint, disappears after a few seconds, and does not name the rule.
  const onInvalid = (event: Event) => {
    event.preventDefault();
    const control = event.target as HTMLInputElement;
    setInvalid(invalidity(control));
    if (control.form?.querySelector(':is(input, select, textarea):invalid') === control) control.focus();
  };
  const error = invalid ?? rejected;
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ');
  return (
    <div class="field" onInvalidCapture={onInvalid} onInput={() => setInvalid(undefined)}>
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

/** Says which rule the content of a form control violates, as the continuation of the control's label. */
function invalidity({ type, title, validity, validationMessage }: HTMLInputElement): string {
  if (validity.valueMissing) return type === 'date' ? 'needs a date' : 'is required';
  if (validity.patternMismatch && title) return `has the wrong format. ${title}.`;
  return `is invalid. ${validationMessage}`;
}

/** Turns off the browser's autofill, capitalisation and spelling services, for a field that holds an ID or a token. */
export const VERBATIM = { autoComplete: 'off', autoCapitalize: 'off', spellcheck: false } as const;

interface TextFieldProps<Label> {
  label: Label;
  value: string;
  onInput: (value: string) => void;
}

/** A confirmation field, in which people type the name or ID of the key or Deployment that the action affects. */
export function ConfirmField({ label, value, onInput }: TextFieldProps<ComponentChildren>) {
  return (
    <Field label={label}>
      {(attributes) => (
        <input
          {...attributes}
          class="mono"
          dir="auto"
          {...VERBATIM}
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
          autoFocus
        />
      )}
    </Field>
  );
}

interface FindProps {
  label: string;
  hint: string;
  /** Label of the button. */
  action: string;
  /** The format of the ID, with a title that describes it. */
  format: { maxLength: number; pattern: string; title: string };
  /** Called with the ID, without spaces around it. */
  onFind: (id: string) => void;
}

/** A form that finds something by its ID. */
export function Find({ label, hint, action, format, onFind }: FindProps) {
  const [id, setId] = useState('');
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    onFind(id.trim());
  };
  return (
    <form onSubmit={submit} class="find">
      <Field label={label} hint={hint}>
        {(attributes) => (
          <span class="side-by-side">
            <input
              {...attributes}
              class="mono"
              required
              {...format}
              {...VERBATIM}
              value={id}
              onInput={(event) => setId(event.currentTarget.value)}
            />
            <button type="submit">{action}</button>
          </span>
        )}
      </Field>
    </form>
  );
}

interface ChoiceProps {
  name: string;
  checked: boolean;
  disabled?: boolean;
  onChoose: () => void;
  children: string;
}

/** A radio button with its label. */
export function Choice({ name, checked, disabled, onChoose, children }: ChoiceProps) {
  return (
    <label class="choice">
      <input type="radio" name={name} checked={checked} disabled={disabled} onChange={onChoose} />
      <span>{children}</span>
    </label>
  );
}

interface ScopeChoiceProps {
  known: readonly string[];
  chosen: readonly string[];
  error?: string | undefined;
  onChange: (chosen: string[]) => void;
}

/** The error of a form that needs a scope. */
export const NO_SCOPE = 'Select at least one scope';

/** Moves the focus to the first scope, so that the person sees the error and can correct it immediately. */
export function focusScopes(form: EventTarget | null): void {
  if (form instanceof HTMLFormElement) form.querySelector<HTMLElement>('.scopes-choice input')?.focus();
}

export function ScopeChoice({ known, chosen, error, onChange }: ScopeChoiceProps) {
  const id = useId();
  // If a key has a scope that the stack no longer defines, people can remove that scope here but not add it.
  const offered = [...known, ...chosen.filter((scope) => !known.includes(scope))];
  const change = (scope: string, isChosen: boolean) =>
    onChange(offered.filter((one) => (one === scope ? isChosen : chosen.includes(one))));
  return (
    <fieldset class="field" aria-describedby={error ? id : undefined}>
      <legend>Scopes</legend>
      <div class="choices scopes-choice">
        {offered.map((scope) => (
          <label key={scope} class="choice">
            <input
              type="checkbox"
              checked={chosen.includes(scope)}
              onChange={(event) => change(scope, event.currentTarget.checked)}
            />
            <span>
              <span class="mono">{scope}</span>
              {scopeWords(scope) && <span class="hint">{scopeWords(scope)}</span>}
            </span>
          </label>
        ))}
      </div>
      {error && (
        <p class="field-error" id={id}>
          {error}
        </p>
      )}
    </fieldset>
  );
}

/** A search field, which the Escape key clears. */
export function Search({ label, value, onInput }: TextFieldProps<string>) {
  return (
    <span class="search">
      <Icon name="search" />
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        autoComplete="off"
        spellcheck={false}
        maxLength={200}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </span>
  );
}

interface PagesProps {
  page: number;
  count: number;
  size: number;
  /** Name of the items in the list, such as `API keys`. */
  label: string;
  pathOf: (page: number) => string;
}

/** Links to the previous and next pages of a list. */
export function Pages({ page, count, size, label, pathOf }: PagesProps) {
  if (count <= size) return null;
  const last = Math.ceil(count / size);
  // Give each link a `key`, so that it keeps its place and its focus when the other link appears or disappears.
  const link = (to: number, words: string) =>
    to < 1 || to > last ? (
      <span key={words} class="button" aria-disabled="true">
        {words}
      </span>
    ) : (
      <a key={words} class="button" href={pathOf(to)}>
        {words}
      </a>
    );
  return (
    <nav class="pages" aria-label={`Pages of ${label}`}>
      {link(page - 1, 'Previous')}
      <span>
        {(page - 1) * size + 1}–{Math.min(page * size, count)} of {count.toLocaleString('en')}
      </span>
      {link(page + 1, 'Next')}
    </nav>
  );
}

/** A code block with a copy button. It has its own scroll bar, and can be scrolled with the keyboard. */
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
  const [only] = tabs;
  if (only && tabs.length === 1) {
    return (
      <section class="tabs">
        <h3>{only.label}</h3>
        {only.body}
      </section>
    );
  }
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
