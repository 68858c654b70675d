import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api.ts';
import { newRule } from './issuers.ts';
import { EXPIRIES, faultOf, type KeyFields } from './key-fields.ts';
import { Failure, Field, ScopeChoice } from './parts.tsx';
import { useAction, useTools } from './state.ts';
import { TrustRules } from './trust-rules.tsx';
import { dayOf } from './words.ts';

interface KeyFormProps {
  /** URL of this form, under which its draft is kept. */
  path: string;
  initial: KeyFields;
  /** The expiry that the key has, RFC 3339. */
  expiresAt?: string | undefined;
  /** Whether the key is there already: then it keeps its way of proving itself. */
  isMade?: boolean;
  /** A leaked key is not enabled here, but by being rotated. */
  isLeaked?: boolean;
  action: string;
  onSubmit: (fields: KeyFields, attempt: string) => Promise<void>;
  onCancel: () => void;
  onDelete?: () => void;
}

/** The fields whose faults are said where they are. */
const SHOWN = ['name', 'description', 'scopes', 'expiresAt', 'networks', 'trust'];

export function KeyForm({ path, initial, expiresAt, isMade, isLeaked, action, ...on }: KeyFormProps) {
  const { config, drafts } = useTools();
  const { isBusy, error, run } = useAction();
  const [fields, setFields] = useState<KeyFields>(() => drafts.take<KeyFields>(path) ?? initial);
  const set = (changes: Partial<KeyFields>) => setFields((before) => ({ ...before, ...changes }));
  useEffect(() => drafts.note(path, fields), [fields]);
  useEffect(() => () => drafts.note(path, undefined), []);

  const attempt = useRef({ body: '', id: '' });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy) return;
    // The same again after a lost answer must not make a second key.
    const body = JSON.stringify(fields);
    if (attempt.current.body !== body) attempt.current = { body, id: crypto.randomUUID() };
    run(() => on.onSubmit(fields, attempt.current.id));
  };
  const faults = error instanceof ApiError ? error.fields : [];
  const isSaid = SHOWN.some((field) => faultOf(faults, field) !== undefined);
  const kept = expiresAt ? [{ value: 'kept', label: `On ${dayOf(expiresAt)}, as it is` }] : [];
  const [issuer] = config.trustedIssuers;
  const hasRules = fields.rules.length > 0;

  return (
    <form onSubmit={submit}>
      {error !== undefined && !isSaid && <Failure error={error} />}
      <Field label="Name" error={faultOf(faults, 'name')}>
        {(attributes) => (
          <input
            {...attributes}
            required
            maxLength={100}
            value={fields.name}
            onInput={(event) => set({ name: event.currentTarget.value })}
            autoComplete="off"
            placeholder="Deploy from main"
            autoFocus
          />
        )}
      </Field>
      <Field
        label="Description"
        hint="Optional: where it is used, whom to ask."
        error={faultOf(faults, 'description')}
      >
        {(attributes) => (
          <textarea
            {...attributes}
            rows={2}
            maxLength={500}
            value={fields.description}
            onInput={(event) => set({ description: event.currentTarget.value })}
          />
        )}
      </Field>
      {!isMade && issuer !== undefined && (
        <fieldset class="field">
          <legend>The pipeline proves itself by</legend>
          <div class="choices">
            <label class="choice">
              <input type="radio" name="kind" checked={!hasRules} onChange={() => set({ rules: [] })} />
              <span>a secret</span>
            </label>
            <label class="choice">
              <input
                type="radio"
                name="kind"
                checked={hasRules}
                onChange={() => set({ rules: [newRule(issuer)] })}
              />
              <span>a token of its CI, without a stored secret</span>
            </label>
          </div>
        </fieldset>
      )}
      {hasRules && (
        <TrustRules
          rules={fields.rules}
          issuers={config.trustedIssuers}
          faults={faults}
          onChange={(rules) => set({ rules })}
        />
      )}
      <ScopeChoice
        known={config.scopes}
        chosen={fields.scopes}
        error={faultOf(faults, 'scopes')}
        onChange={(scopes) => set({ scopes })}
      />
      <Field label="Expires" error={faultOf(faults, 'expiresAt')}>
        {(attributes) => (
          <span class="side-by-side">
            <select
              {...attributes}
              value={fields.expiry}
              onChange={(event) => set({ expiry: event.currentTarget.value })}
            >
              {[...kept, ...EXPIRIES].map(({ value, label }) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
            {fields.expiry === 'date' && (
              <input
                type="date"
                aria-label="Expiry date"
                required
                min={new Date().toISOString().slice(0, 10)}
                value={fields.date}
                onInput={(event) => set({ date: event.currentTarget.value })}
              />
            )}
          </span>
        )}
      </Field>
      <Field
        label="Networks"
        hint="Optional: networks from which alone it can be used, one a line."
        error={faultOf(faults, 'networks', 'line')}
      >
        {(attributes) => (
          <textarea
            {...attributes}
            rows={2}
            class="mono"
            spellcheck={false}
            placeholder={'203.0.113.0/24\n2001:db8::/32'}
            value={fields.networks}
            onInput={(event) => set({ networks: event.currentTarget.value })}
          />
        )}
      </Field>
      {isMade && !isLeaked && (
        <div class="field">
          <label class="choice">
            <input
              type="checkbox"
              checked={fields.enabled}
              onChange={(event) => set({ enabled: event.currentTarget.checked })}
            />
            <span>Enabled</span>
          </label>
          <p class="hint">
            Disabling ends access at once. Tokens from before stay dead when it is enabled again.
          </p>
        </div>
      )}
      <footer>
        {on.onDelete && (
          <button type="button" class="danger-quiet" onClick={on.onDelete}>
            Delete API Key
          </button>
        )}
        <span class="gap" />
        <button type="button" onClick={on.onCancel}>
          Cancel
        </button>
        <button type="submit" class="primary" disabled={isBusy}>
          {isBusy ? 'Saving…' : action}
        </button>
      </footer>
    </form>
  );
}
