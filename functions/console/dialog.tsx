import { type ComponentChildren, createContext } from 'preact';
import { useContext, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { guard, releaseGuard } from './guard.ts';
import { Icon } from './parts.tsx';

interface DialogProps {
  title: string;
  /** Whether the dialog is wide enough for code. @default false */
  isWide?: boolean;
  /**
   * Whether Escape and the close button close the dialog. False if closing would lose something that the dialog shows.
   * @default true
   */
  isDismissible?: boolean;
  /** Whether closing the dialog or leaving the page would lose something. If so, both ask for confirmation first. @default false */
  isDirty?: boolean;
  /** The question that asks for confirmation. @default a question about unsaved input */
  question?: LossQuestion;
  onClose: () => void;
  children: ComponentChildren;
}

/** A question that asks whether to lose something that the dialog holds. */
export interface LossQuestion {
  title: string;
  words: string;
  /** Label of the button that returns to the dialog. */
  keep: string;
  /** Label of the button that closes the dialog. */
  leave: string;
}

const UNSAVED: LossQuestion = {
  title: 'Discard your changes?',
  words: 'What you entered has not been saved.',
  keep: 'Keep editing',
  leave: 'Discard changes',
};

/** Closes the dialog, after asking for confirmation if unsaved input would be lost. */
const CloseContext = createContext<() => void>(() => {});

/**
 * A modal dialog. The browser keeps the focus inside the dialog, and restores the previous focus when the dialog
 * closes.
 */
export function Dialog({ title, isWide, isDismissible = true, isDirty = false, ...props }: DialogProps) {
  const { question = UNSAVED, onClose, children } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [isAsking, setAsking] = useState(false);
  useOpen(dialog);
  // The cleanup of a layout effect runs as soon as the dialog closes. The cleanup of a normal effect runs later, so the
  // page would still protect a form that is no longer there.
  useLayoutEffect(() => {
    if (!isDirty) return;
    guard(() => setAsking(true), question === UNSAVED);
    return releaseGuard;
  }, [isDirty]);
  const close = () => {
    if (!isDismissible) return;
    if (isDirty) setAsking(true);
    else onClose();
  };
  return (
    <dialog ref={dialog} class={isWide ? 'wide' : undefined} aria-labelledby={id} {...onEscape(close)}>
      <header>
        <h2 id={id}>{title}</h2>
        {isDismissible && (
          <button type="button" class="plain" aria-label="Close" onClick={close}>
            <Icon name="close" />
          </button>
        )}
      </header>
      <CloseContext.Provider value={close}>{children}</CloseContext.Provider>
      {isAsking && <Discard question={question} onKeep={() => setAsking(false)} onDiscard={onClose} />}
    </dialog>
  );
}

interface DiscardProps {
  question: LossQuestion;
  onKeep: () => void;
  onDiscard: () => void;
}

/** Asks whether to lose what the dialog underneath holds. */
function Discard({ question: { title, words, keep, leave }, onKeep, onDiscard }: DiscardProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    // Closing the dialog before it is removed returns the focus to the field that had it.
    return () => element?.close();
  }, []);
  return (
    <dialog ref={dialog} class="small" role="alertdialog" aria-labelledby={id} {...onEscape(onKeep)}>
      <header>
        <h2 id={id}>{title}</h2>
      </header>
      <p>{words}</p>
      <footer>
        <button type="button" class="primary" onClick={onKeep} autoFocus>
          {keep}
        </button>
        <button
          type="button"
          class="danger-quiet"
          onClick={() => {
            releaseGuard();
            onDiscard();
          }}
        >
          {leave}
        </button>
      </footer>
    </dialog>
  );
}

/** A button that closes its dialog. */
export function CancelButton({ children = 'Cancel' }: { children?: string }) {
  const close = useContext(CloseContext);
  return (
    <button type="button" onClick={close}>
      {children}
    </button>
  );
}

interface FooterProps {
  isBusy: boolean;
  /** Label of the button while the action runs. */
  busy: string;
  /** Label of the button. */
  action: string;
  isDanger?: boolean | undefined;
  isDisabled?: boolean | undefined;
}

/**
 * The buttons of a dialog: Cancel, and the button that submits the dialog's form. They stay visible when the content
 * scrolls.
 */
export function DialogFooter({ isBusy, busy, action, isDanger, isDisabled }: FooterProps) {
  return (
    <footer>
      <CancelButton />
      <button type="submit" class={isDanger ? 'danger' : 'primary'} disabled={isBusy || isDisabled}>
        {isBusy ? busy : action}
      </button>
    </footer>
  );
}

/** The button of a dialog that only shows something. It closes the dialog. */
export function DoneFooter({ label, onClose }: { label: string; onClose: () => void }) {
  return (
    <footer>
      <button type="button" class="primary" onClick={onClose}>
        {label}
      </button>
    </footer>
  );
}

/**
 * Handles Escape. Browsers close a dialog on a second Escape even if the page prevented `cancel`, so this function
 * handles the key press itself.
 */
const onEscape = (close: () => void) => ({
  onCancel: (event: Event) => {
    event.preventDefault();
    event.stopPropagation();
    if (!(event instanceof KeyboardEvent)) close();
  },
  onKeyDown: (event: KeyboardEvent) => {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    event.stopPropagation();
    close();
  },
});

/** Name of the window event that is dispatched when a dialog opens. */
export const DIALOG_OPENS = 'dialog-opens';

/** Opens a modal dialog, and restores the previous focus when the dialog closes. */
function useOpen(dialog: { current: HTMLDialogElement | null }): void {
  useLayoutEffect(() => {
    const element = dialog.current;
    // A button that was disabled when it was pressed has lost the focus.
    const from = document.activeElement === document.body ? lastFocused : document.activeElement;
    // When one dialog replaces another, the focus returns to the element that opened the first dialog.
    if (from instanceof HTMLElement && !from.closest('dialog')) opener = from;
    element?.showModal();
    dispatchEvent(new Event(DIALOG_OPENS));
    return () => {
      element?.close();
      setTimeout(giveFocusBack);
    };
  }, []);
}

/** The element that had the focus before the first dialog opened. */
let opener: HTMLElement | undefined;

/** The element that received the focus last. */
let lastFocused: EventTarget | null = null;
addEventListener('focusin', ({ target }) => {
  lastFocused = target;
});

function giveFocusBack(): void {
  if (document.querySelector('dialog[open]') || document.activeElement !== document.body) return;
  if (opener?.isConnected) opener.focus();
  // The element is gone, such as the row of a token that was revoked. The page keeps its place.
  else document.querySelector('h1')?.focus({ preventScroll: true });
}
