import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { Icon } from './parts.tsx';

interface MenuProps {
  /** What the menu's actions apply to, such as the name of a key. */
  label: string;
  children: ComponentChildren;
}

/**
 * A button that opens a menu of links and buttons. It follows the ARIA Authoring Practices: arrow keys move within the
 * menu, and Escape closes it and returns the focus. The entries exist only while the menu is open.
 */
export function Menu({ label, children }: MenuProps) {
  const [isOpen, setOpen] = useState(false);
  const list = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  const entries = () => [...(list.current?.querySelectorAll<HTMLElement>('a, button') ?? [])];
  useEffect(() => {
    if (!isOpen) return;
    for (const entry of entries()) {
      entry.setAttribute('role', 'menuitem');
      entry.tabIndex = -1;
    }
    entries()[0]?.focus();
    const closeOutside = ({ target }: Event) => {
      const isInside =
        target instanceof Node && (list.current?.contains(target) || button.current?.contains(target));
      if (!isInside) setOpen(false);
    };
    addEventListener('pointerdown', closeOutside);
    return () => removeEventListener('pointerdown', closeOutside);
  }, [isOpen]);
  const onKeyDown = (event: KeyboardEvent) => {
    const all = entries();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === 'Escape' || event.key === 'Tab') {
      setOpen(false);
      button.current?.focus();
    }
    if (to === undefined && event.key !== 'Escape') return;
    event.preventDefault();
    event.stopPropagation();
    if (to !== undefined) all[(to + all.length) % all.length]?.focus();
  };
  const onClick = () => {
    setOpen(false);
    // When the next dialog closes, it returns the focus to this button.
    button.current?.focus();
  };
  return (
    <span class="menu">
      <button
        ref={button}
        type="button"
        class="plain icon-only"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        aria-label={`Actions for ${label}`}
        onClick={() => setOpen(!isOpen)}
        onKeyDown={(event) => {
          if (event.key !== 'ArrowDown') return;
          event.preventDefault();
          setOpen(true);
        }}
      >
        <Icon name="more" />
      </button>
      {isOpen && (
        <div
          ref={list}
          id={id}
          role="menu"
          aria-label={`Actions for ${label}`}
          onKeyDown={onKeyDown}
          onClick={onClick}
        >
          {children}
        </div>
      )}
    </span>
  );
}
