import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { type FurtherSearch, matching } from './deployments.ts';

interface Option {
  id: string;
  name: string;
}

interface PickerProps {
  label: string;
  placeholder: string;
  options: readonly Option[];
  /** The ID of the chosen option. */
  value: string | undefined;
  onChange: (id: string) => void;
  /** Called with the text that the person types, so that more options can be loaded. */
  onType: (typed: string) => void;
  /** The search for more options. */
  further: FurtherSearch;
}

/** Maximum number of options in the list. Typing narrows the list. */
const SHOWN = 50;

/**
 * A field for choosing one of many options by typing part of its name or ID. It follows the combobox pattern of the
 * ARIA Authoring Practices: arrow keys move in the list, Enter chooses an option and Escape closes the list.
 */
export function Picker({ label, placeholder, options, value, onChange, onType, further }: PickerProps) {
  const id = useId();
  const chosen = options.find((option) => option.id === value);
  const [typed, setTyped] = useState<string>();
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const isOpen = typed !== undefined;
  const found = matching(options, typed ?? '');
  const shown = found.slice(0, SHOWN);
  useEffect(() => list.current?.children[at]?.scrollIntoView({ block: 'nearest' }), [at]);
  const choose = (option: Option | undefined) => {
    setTyped(undefined);
    onType('');
    if (option && option.id !== value) onChange(option.id);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      if (isOpen) setAt((to + shown.length) % Math.max(1, shown.length));
      else open();
    }
    if (event.key === 'Enter' && isOpen) {
      event.preventDefault();
      if (!shown[at] && further.error !== undefined) further.retry();
      else choose(shown[at]);
    }
    if (event.key === 'Escape') setTyped(undefined);
  };
  const open = () => {
    setTyped('');
    onType('');
    setAt(0);
  };
  return (
    <div class="field picker">
      <label for={id}>{label}</label>
      <input
        id={id}
        role="combobox"
        aria-expanded={isOpen}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={isOpen && shown[at] ? `${id}-${at}` : undefined}
        autoComplete="off"
        spellcheck={false}
        placeholder={chosen ? wordsOf(chosen) : placeholder}
        value={typed ?? (chosen ? wordsOf(chosen) : '')}
        onFocus={open}
        onClick={() => !isOpen && open()}
        onBlur={() => setTyped(undefined)}
        onInput={(event) => {
          setTyped(event.currentTarget.value);
          onType(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      {isOpen && (
        <div ref={list} id={`${id}-list`} role="listbox" aria-label={label}>
          {shown.map((option, index) => (
            <button
              key={option.id}
              type="button"
              id={`${id}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === at}
              onMouseDown={keepFocus}
              onClick={() => choose(option)}
            >
              <bdi>{option.name}</bdi> <code>{option.id}</code>
            </button>
          ))}
        </div>
      )}
      <p class="hint" role="status">
        {isOpen && countWords(found.length, further)}{' '}
        {isOpen && further.error !== undefined && (
          <button type="button" class="link" onMouseDown={keepFocus} onClick={further.retry}>
            Try again
          </button>
        )}
      </p>
    </div>
  );
}

/**
 * Keeps the focus in the field: otherwise, pressing the mouse button on an option would close the list before the
 * click.
 */
const keepFocus = (event: MouseEvent) => event.preventDefault();

function countWords(found: number, { isBusy, error }: FurtherSearch): string {
  if (error !== undefined) return 'Not all Deployments were searched.';
  if (isBusy) return 'Searching…';
  if (found === 0) return 'No Deployment matches.';
  return found > SHOWN ? `${found} match. Type to narrow them down.` : `${found} to choose from.`;
}

const wordsOf = ({ id, name }: Option) => (name === id ? id : `${name} (${id})`);
