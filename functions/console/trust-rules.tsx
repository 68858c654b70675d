import { useId, useState } from 'preact/hooks';
import {
  claimsOf,
  fitsPreset,
  issuerLabel,
  isTenant,
  newRule,
  type Preset,
  presetOf,
  presetValue,
  withPresetValue,
} from './issuers.ts';
import { faultOf, type RuleFields } from './key-fields.ts';
import { CopyButton, Field, Icon, Notice } from './parts.tsx';
import type { FieldFault } from './resources.ts';

/** Maximum number of rules per key and of claims per rule. The service enforces the same limits. */
const MOST = 10;

interface RulesProps {
  rules: RuleFields[];
  /** Issuers that the stack trusts. */
  issuers: readonly string[];
  faults: readonly FieldFault[];
  onChange: (rules: RuleFields[]) => void;
}

/** The trust rules of a key. The key accepts a token that matches at least one rule. */
export function TrustRules({ rules, issuers, faults, onChange }: RulesProps) {
  const change = (at: number, rule: RuleFields | undefined) =>
    onChange(rules.flatMap((one, index) => (index === at ? (rule ?? []) : one)));
  return (
    <>
      {rules.map((rule, index) => (
        <Rule
          key={index}
          number={index + 1}
          rule={rule}
          issuers={issuers}
          faults={faults}
          onChange={(next) => change(index, next)}
          onRemove={rules.length > 1 ? () => change(index, undefined) : undefined}
        />
      ))}
      {rules.length < MOST && (
        <p class="field">
          <button type="button" onClick={() => onChange([...rules, newRule(issuers[0] ?? '')])}>
            Add rule
          </button>
        </p>
      )}
    </>
  );
}

interface RuleProps extends Pick<RulesProps, 'issuers' | 'faults'> {
  /** Starts at 1. */
  number: number;
  rule: RuleFields;
  onChange: (rule: RuleFields) => void;
  /** Removes the rule; undefined if it is the only rule of the key, which cannot be removed. */
  onRemove: (() => void) | undefined;
}

function Rule({ number, rule, issuers, faults, onChange, onRemove }: RuleProps) {
  const id = useId();
  const preset = presetOf(rule.issuer);
  const [isRaw, setRaw] = useState(false);
  const shown = preset && !isRaw && fitsPreset(preset, rule) ? preset : undefined;
  const set = (changes: Partial<RuleFields>) => onChange({ ...rule, ...changes });
  const at = `trust[${number - 1}]`;
  const wrong = faultOf(faults, at);
  // The form still shows an issuer that the stack no longer trusts, but the service rejects rules for that issuer.
  const offered = issuers.includes(rule.issuer) ? issuers : [...issuers, rule.issuer];
  return (
    <fieldset class="rule" aria-describedby={wrong ? `${id}-error` : undefined}>
      <legend>{number === 1 && !onRemove ? 'Trust rule' : `Trust rule ${number}`}</legend>
      <Field label="Issuer">
        {(attributes) => (
          <select
            {...attributes}
            value={rule.issuer}
            onChange={(event) => onChange(newRule(event.currentTarget.value))}
          >
            {offered.map((issuer) => (
              <option key={issuer} value={issuer}>
                {issuerLabel(issuer)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {shown ? (
        <PresetFields
          preset={shown}
          rule={rule}
          isWrong={wrong !== undefined}
          onChange={(claims) => set({ claims })}
        />
      ) : (
        <Claims rule={rule} isWrong={wrong !== undefined} id={id} onChange={(claims) => set({ claims })} />
      )}
      {wrong && (
        <p class="field-error" id={`${id}-error`}>
          The rule {wrong}
        </p>
      )}
      <div class="actions">
        {!shown && rule.claims.length < MOST && (
          <button
            type="button"
            onClick={() => set({ claims: [...rule.claims, { name: '', match: 'is', value: '' }] })}
          >
            Add claim
          </button>
        )}
        {shown && (
          <button type="button" onClick={() => setRaw(true)}>
            Edit claims
          </button>
        )}
        {onRemove && (
          <button type="button" class="danger-quiet" onClick={onRemove}>
            Remove rule
          </button>
        )}
      </div>
      <details open={rule.audience !== '' || rule.singleUse}>
        <summary>More conditions</summary>
        <Field label="Audience" hint={`Leave empty for this service: ${location.origin}`}>
          {(attributes) => (
            <input
              {...attributes}
              maxLength={256}
              autoComplete="off"
              spellcheck={false}
              value={rule.audience}
              onInput={(event) => set({ audience: event.currentTarget.value })}
            />
          )}
        </Field>
        <label class="choice">
          <input
            type="checkbox"
            checked={rule.singleUse}
            onChange={(event) => set({ singleUse: event.currentTarget.checked })}
          />
          <span>Accept each token only once</span>
        </label>
        <p class="hint">Do not use this for GitLab, where all steps of a job share one token.</p>
      </details>
    </fieldset>
  );
}

interface ClaimsProps {
  rule: RuleFields;
  isWrong: boolean;
  onChange: (claims: RuleFields['claims']) => void;
}

/** Edits the claims of a rule one by one. */
function Claims({ rule, isWrong, id, onChange }: ClaimsProps & { id: string }) {
  const { claims, hint } = claimsOf(rule.issuer);
  const setClaim = (at: number, changes: Partial<RuleFields['claims'][number]> | undefined) =>
    onChange(
      rule.claims.flatMap((claim, index) =>
        index === at ? (changes ? { ...claim, ...changes } : []) : claim,
      ),
    );
  return (
    <>
      <p class="hint" id={`${id}-hint`}>
        {hint}
      </p>
      <datalist id={`${id}-claims`}>
        {claims.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      {rule.claims.map(({ name, match, value }, index) => (
        <div key={index} class="claim">
          <input
            aria-label={`Claim ${index + 1}`}
            list={`${id}-claims`}
            required
            maxLength={100}
            autoComplete="off"
            spellcheck={false}
            value={name}
            onInput={(event) => setClaim(index, { name: event.currentTarget.value })}
          />
          <select
            aria-label={`Condition of claim ${index + 1}`}
            value={match}
            onChange={(event) => setClaim(index, { match: event.currentTarget.value as typeof match })}
          >
            <option value="is">is</option>
            <option value="prefix">begins with</option>
          </select>
          <input
            aria-label={`Value of claim ${index + 1}`}
            aria-invalid={isWrong || undefined}
            required
            maxLength={256}
            autoComplete="off"
            spellcheck={false}
            value={value}
            onInput={(event) => setClaim(index, { value: event.currentTarget.value })}
          />
          <button
            type="button"
            class="plain"
            disabled={rule.claims.length === 1}
            aria-label={`Remove claim ${index + 1}`}
            onClick={() => setClaim(index, undefined)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </>
  );
}

/** Asks for values that people know about their CI, and explains how to find the number that the rule needs. */
function PresetFields({ preset, rule, isWrong, onChange }: ClaimsProps & { preset: Preset }) {
  const { lookup, fields, warning } = preset;
  const [tenant, setTenant] = useState('');
  const isOpen = fields.every((field) => field.isRequired || presetValue(field, rule) === '');
  return (
    <>
      <Field label={lookup.label} hint="Only to find the number. It is not stored.">
        {(attributes) => (
          <input
            {...attributes}
            autoComplete="off"
            spellcheck={false}
            maxLength={200}
            placeholder={lookup.placeholder}
            value={tenant}
            onInput={(event) => setTenant(event.currentTarget.value.trim())}
          />
        )}
      </Field>
      {isTenant(tenant) && (
        <p class="hint lookup">
          Run <code>{lookup.command(tenant)}</code>{' '}
          <CopyButton text={lookup.command(tenant)} what="command" /> or copy <code>id</code> from{' '}
          <a href={lookup.page(tenant)} target="_blank" rel="noreferrer">
            {lookup.page(tenant)}
          </a>
          .
        </p>
      )}
      {fields.map((field) => (
        <Field
          key={field.claim}
          label={field.isRequired ? field.label : `${field.label} (optional)`}
          hint={field.hint}
        >
          {(attributes) => (
            <input
              {...attributes}
              aria-invalid={(isWrong && field.isRequired) || undefined}
              required={field.isRequired}
              inputMode={field.isRequired ? 'numeric' : undefined}
              pattern={field.isRequired ? '[0-9]+' : undefined}
              title={field.isRequired ? 'Digits only' : undefined}
              maxLength={200}
              autoComplete="off"
              spellcheck={false}
              placeholder={field.placeholder}
              value={presetValue(field, rule)}
              onInput={(event) => onChange(withPresetValue(field, rule, event.currentTarget.value))}
            />
          )}
        </Field>
      ))}
      {isOpen && (
        <Notice kind="warning">
          <p>{warning}</p>
        </Notice>
      )}
    </>
  );
}
