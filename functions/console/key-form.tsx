import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { DESCRIPTION, NAME } from '../domain/allowed-characters.ts';
import { ApiError } from './api.ts';
import { DialogFooter } from './dialog.tsx';
import { newRule } from './issuers.ts';
import { expiriesWithin, faultOf, type KeyFields } from './key-fields.ts';
import { Failure, Field, focusScopes, NO_SCOPE, ScopeChoice } from './parts.tsx';
import type { ApiKey } from './resources.ts';
import { useAction, useTools } from './state.ts';
import { TrustRules } from './trust-rules.tsx';
import { dayOf } from './words.ts';

/** A submission of the form. A retry with the same fields counts as the same attempt. */
export interface Attempt {
  /** Idempotency-Key */
  id: string;
  /** Time of the first submission, in epoch milliseconds. */
  at: number;
}

interface KeyFormProps {
  /** URL of the form, which identifies its draft. */
  path: string;
  initial: KeyFields;
  /** The key, if it already exists. An existing key cannot switch between a secret and trust rules. */
  apiKey?: ApiKey;
  /** Label of the button. */
  action: string;
  /** Label of the button while the form is being submitted. */
  busy: string;
  /** Called when the form starts to hold unsaved input, and when the input is no longer unsaved. */
  onDirty: (isDirty: boolean) => void;
  onSubmit: (fields: KeyFields, attempt: Attempt) => Promise<void>;
}

/** The fields that display their own errors. */
const SHOWN = ['name', 'description', 'scopes', 'expiresAt', 'networks', 'trust'];

export function KeyForm({ path, initial, apiKey, action, busy, ...on }: KeyFormProps) {
  const { config, drafts } = useTools();
  const { isBusy, error, run } = useAction();
  const [fields, setFields] = useState<KeyFields>(() => drafts.take<KeyFields>(path) ?? initial);
  const set = (changes: Partial<KeyFields>) => setFields((before) => ({ ...before, ...changes }));
  // Layout effects run before the next event. Other effects run after the browser has painted, so an Escape in the meantime
  // would discard the input.
  useLayoutEffect(() => drafts.note(path, fields), [fields]);
  useLayoutEffect(() => () => drafts.note(path, undefined), []);
  const [start] = useState(() => JSON.stringify(initial));
  const isDirty = JSON.stringify(fields) !== start;
  useLayoutEffect(() => on.onDirty(isDirty), [isDirty]);
  const [lacksScope, setLacksScope] = useState(false);

  const attempt = useRef<Attempt & { body: string }>({ body: '', id: '', at: 0 });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy) return;
    setLacksScope(fields.scopes.length === 0);
    if (fields.scopes.length === 0) return focusScopes(event.currentTarget);
    // A retry after a lost response must not create a second key, so it repeats the same request, including the expiry.
    const body = JSON.stringify(fields);
    if (attempt.current.body !== body) attempt.current = { body, id: crypto.randomUUID(), at: Date.now() };
    run(() => on.onSubmit(fields, attempt.current));
  };
  const faults = error instanceof ApiError ? error.fields : [];
  const isShown = SHOWN.some((field) => faultOf(faults, field) !== undefined);
  const scopesFault = faultOf(faults, 'scopes');
  const { expiresAt, status } = apiKey ?? {};
  const kept = expiresAt ? [{ value: 'kept', label: `On ${dayOf(expiresAt)} (unchanged)` }] : [];
  const [issuer] = config.trustedIssuers;
  const hasRules = fields.rules.length > 0;
  const allowsSecrets = config.policy.keysWithSecrets !== false;

  return (
    <form onSubmit={submit}>
      {error !== undefined && !isShown && <Failure error={error} />}
      <Field label="Name" error={faultOf(faults, 'name')}>
        {(attributes) => (
          <input
            {...attributes}
            required
            maxLength={NAME[1]}
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
            maxLength={DESCRIPTION[1]}
            value={fields.description}
            onInput={(event) => set({ description: event.currentTarget.value })}
          />
        )}
      </Field>
      {!apiKey && issuer !== undefined && (
        <fieldset class="field">
          <legend>Authentication</legend>
          <div class="choices">
            <label class="choice">
              <input
                type="radio"
                name="kind"
                checked={!hasRules}
                disabled={!allowsSecrets}
                onChange={() => set({ rules: [] })}
              />
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
        error={lacksScope ? NO_SCOPE : scopesFault && `Scopes ${scopesFault}`}
        onChange={(scopes) => {
          setLacksScope(false);
          set({ scopes });
        }}
      />
      <Field label="Expires" error={faultOf(faults, 'expiresAt')}>
        {(attributes) => (
          <span class="side-by-side">
            <select
              {...attributes}
              value={fields.expiry}
              onChange={(event) => set({ expiry: event.currentTarget.value })}
            >
              {[...kept, ...expiriesWithin(config.policy.maxKeyDays)].map(({ value, label }) => (
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
      {apiKey && status !== 'leaked' && (
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
      <DialogFooter isBusy={isBusy} busy={busy} action={action} isDisabled={apiKey && !isDirty} />
    </form>
  );
}
