import { useEffect } from 'preact/hooks';
import { DIALOG_OPENS } from './dialog.tsx';
import { Icon } from './parts.tsx';

export interface Toast {
  id: number;
  text: string;
}

/** How long a toast stays visible, in milliseconds. */
const LIFETIME = 8000;

/** Time within which the dialog that opens belongs to the action that the toast confirms, in milliseconds. */
const TOGETHER = 500;

/**
 * A short confirmation of an action. The next toast replaces the current one, so that a toast does not move while a
 * person reads it. A dialog that opens later removes the toast, which it would half cover. Anything that a person must read also appears elsewhere.
 */
export function Toasts({ toast, onDrop }: { toast: Toast | undefined; onDrop: () => void }) {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toast && <OneToast key={toast.id} text={toast.text} onDrop={onDrop} />}
    </div>
  );
}

function OneToast({ text, onDrop }: { text: string; onDrop: () => void }) {
  useEffect(() => {
    const shownAt = performance.now();
    const timer = setTimeout(onDrop, LIFETIME);
    const makeWay = () => performance.now() - shownAt > TOGETHER && onDrop();
    addEventListener(DIALOG_OPENS, makeWay);
    return () => {
      clearTimeout(timer);
      removeEventListener(DIALOG_OPENS, makeWay);
    };
  }, []);
  return (
    <p class="toast">
      <Icon name="tick" />
      <bdi>{text}</bdi>
      <button type="button" class="plain" aria-label="Dismiss" onClick={onDrop}>
        <Icon name="close" />
      </button>
    </p>
  );
}
