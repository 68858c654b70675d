import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api.ts';
import { newRule } from './issuers.ts';
import { EXPIRIES, faultOf, type KeyFields } from './key-fields.ts';
import { Failure, Field, ScopeChoice } from './parts.tsx';
import { useAction, useTools } from './state.ts';
import { TrustRules } from './trust-rules.tsx';
import { dayOf } from './words.ts';

interface KeyFormProps {
  /** URL of this form, which identifies its draft. */
  path: string;
  initial: KeyFields;
  /** The key's current expiry, RFC 3339. */
  expiresAt?: string | undefined;
  /** Whether the key already exists. Then its kind of authentication cannot change. */
  isMade?: boolean;
  /** Whether the key leaked. Then only a rotation can enable it. */
  isLeaked?: boolean;
  action: string;
  onSubmit: (fields: KeyFields, attempt: string) => Promise<void>;
  onCancel: () => void;
  onDelete?: () => void;
}

/** The fields that show their errors themselves. */
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
    // A retry after a lost answer must not create a second key.
    const body = JSON.stringify(fields);
    if (attempt.current.body !== body) attempt.current = { body, id: crypto.randomUUID() };
    run(() => on.onSubmit(fields, attempt.current.id));
  };
  const faults = error instanceof ApiError ? error.fields : [];
  const isSaid = SHOWN.some((field) => faultOf(faults, field) !== undefined);
  const kept = expiresAt ? [{ value: 'kept', label: `On ${dayOf(expiresAt)} (unchanged)` }] : [];
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
        hint="Optional. Where the key is used, and who to ask about it."
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
          <legend>Authentication</legend>
          <div class="choices">
            <label class="choice">
              <input type="radio" name="kind" checked={!hasRules} onChange={() => set({ rules: [] })} />
              <span>Client secret</span>
            </label>
            <label class="choice">
              <input
                type="radio"
                name="kind"
                checked={hasRules}
                onChange={() => set({ rules: [newRule(issuer)] })}
              />
              <span>OIDC token from CI (no stored secret)</span>
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
        label="Allowed IP ranges"
        hint="Optional. One CIDR range per line. Leave empty to allow any address."
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
            Disabling a key revokes its tokens immediately. They stay revoked even if you re-enable the key.
          </p>
        </div>
      )}
      <footer>
        {on.onDelete && (
          <button type="button" class="danger-quiet" onClick={on.onDelete}>
            Delete API key
          </button>
        )}
        <span class="gap" />
        <button type="button" onClick={on.onCancel}>
          Cancel
        </button>
        <button type="submit" class="primary" disabled={isBusy}>
          {isBusy ? (isMade ? 'Saving…' : 'Creating…') : action}
        </button>
      </footer>
    </form>
  );
}
