import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { DESCRIPTION, NAME } from '../domain/allowed-characters.ts';
import { ApiError } from './api.ts';
import { DialogFooter } from './dialog.tsx';
import { newRule } from './issuers.ts';
import { expiriesWithin, faultOf, type KeyFields } from './key-fields.ts';
import { Choice, Failure, Field, focusScopes, NO_SCOPE, ScopeChoice } from './parts.tsx';
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
  /** Called when the form starts to hold unsaved input, and when the input is no longer unsaved. */
  onDirty: (isDirty: boolean) => void;
  onSubmit: (fields: KeyFields, attempt: Attempt) => Promise<void>;
}

/** The fields that display their own errors. */
const SHOWN = ['name', 'description', 'scopes', 'expiresAt', 'networks', 'trust'];

/** The form that creates a key or changes an existing key. */
export function KeyForm({ path, initial, apiKey, ...on }: KeyFormProps) {
  const { config } = useTools();
  const { isBusy, error, run } = useAction();
  const { fields, set, isDirty } = useFields(path, initial);
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
  const parts = { fields, set, faults };

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
      {!apiKey && <Authentication {...parts} />}
      {fields.rules.length > 0 && (
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
      <Expiry {...parts} apiKey={apiKey} />
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
      {apiKey && apiKey.status !== 'leaked' && <Enabled {...parts} />}
      {apiKey ? (
        <DialogFooter isBusy={isBusy} busy="Saving…" action="Save" isDisabled={!isDirty} />
      ) : (
        <DialogFooter isBusy={isBusy} busy="Creating…" action="Create API key" />
      )}
    </form>
  );
}

/**
 * Returns the form's fields, a function that changes some of them, and whether they differ from the initial fields. If the
 * session expires, the fields become a draft.
 */
function useFields(path: string, initial: KeyFields) {
  const { drafts } = useTools();
  const [fields, setFields] = useState<KeyFields>(() => drafts.take<KeyFields>(path) ?? initial);
  const set = (changes: Partial<KeyFields>) => setFields((before) => ({ ...before, ...changes }));
  // Layout effects run before the next event. Other effects run after the browser has painted, so an Escape in the meantime
  // would discard the input.
  useLayoutEffect(() => drafts.note(path, fields), [fields]);
  useLayoutEffect(() => () => drafts.note(path, undefined), []);
  const [start] = useState(() => JSON.stringify(initial));
  return { fields, set, isDirty: JSON.stringify(fields) !== start };
}

/** What the parts of the form read and change. */
interface PartProps {
  fields: KeyFields;
  set: (changes: Partial<KeyFields>) => void;
  faults: ApiError['fields'];
}

/** The choice between a secret and trust rules. Without a trusted issuer, there is no choice. */
function Authentication({ fields, set }: PartProps) {
  const { policy, trustedIssuers } = useTools().config;
  const [issuer] = trustedIssuers;
  const hasRules = fields.rules.length > 0;
  if (!issuer) return null;
  return (
    <fieldset class="field">
      <legend>Authentication</legend>
      <div class="choices">
        <Choice
          name="kind"
          checked={!hasRules}
          disabled={policy.keysWithSecrets === false}
          onChoose={() => set({ rules: [] })}
        >
          Client secret
        </Choice>
        <Choice name="kind" checked={hasRules} onChoose={() => set({ rules: [newRule(issuer)] })}>
          OIDC token from CI (no stored secret)
        </Choice>
      </div>
    </fieldset>
  );
}

/** When the key expires: after a time that the form offers, on a date, or as before. */
function Expiry({ fields, set, faults, apiKey }: PartProps & { apiKey: ApiKey | undefined }) {
  const { policy } = useTools().config;
  const { expiresAt } = apiKey ?? {};
  const kept = expiresAt ? [{ value: 'kept', label: `On ${dayOf(expiresAt)} (unchanged)` }] : [];
  return (
    <Field label="Expires" error={faultOf(faults, 'expiresAt')}>
      {(attributes) => (
        <span class="side-by-side">
          <select
            {...attributes}
            value={fields.expiry}
            onChange={(event) => set({ expiry: event.currentTarget.value })}
          >
            {[...kept, ...expiriesWithin(policy.maxKeyDays)].map(({ value, label }) => (
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
  );
}

function Enabled({ fields, set }: PartProps) {
  return (
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
  );
}
