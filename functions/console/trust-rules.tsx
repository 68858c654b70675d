import { useId, useState } from 'preact/hooks';
import {
  claimsOf,
  fitsPreset,
  issuerLabel,
  issuerOf,
  isTenant,
  newRule,
  type Preset,
  presetOf,
  presetValue,
  type TrustedIssuer,
  withPresetValue,
} from './issuers.ts';
import { type RuleFields, ruleFaults } from './key-fields.ts';
import { CopyButton, Field, Icon, Notice, VERBATIM } from './parts.tsx';
import type { FieldFault } from './resources.ts';

/** Maximum number of rules per key and of claims per rule. The service enforces the same limits. */
const MOST = 10;

interface RulesProps {
  rules: RuleFields[];
  /** Issuers that the stack trusts. */
  issuers: readonly TrustedIssuer[];
  faults: readonly FieldFault[];
  onChange: (rules: RuleFields[]) => void;
}

/** The trust rules of a key. The key accepts a token that matches at least one rule. */
export function TrustRules({ rules, issuers, faults, onChange }: RulesProps) {
  const [first] = issuers;
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
      {rules.length < MOST && first && (
        <p class="field">
          <button type="button" onClick={() => onChange([...rules, newRule(first)])}>
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
  const issuer = issuerOf(issuers, rule.issuer);
  const preset = presetOf(issuer);
  const [isRaw, setRaw] = useState(false);
  const shown = preset && !isRaw && fitsPreset(preset, rule) ? preset : undefined;
  const set = (changes: Partial<RuleFields>) => onChange({ ...rule, ...changes });
  const wrong = ruleFaults(faults, `trust[${number - 1}]`);
  const isWrong = wrong.length > 0;
  // The form still shows an issuer that the stack no longer trusts, but the service rejects rules for that issuer.
  const offered = issuers.includes(issuer) ? issuers : [...issuers, issuer];
  return (
    <fieldset class="rule" aria-describedby={isWrong ? `${id}-error` : undefined}>
      <legend>{number === 1 && !onRemove ? 'Trust rule' : `Trust rule ${number}`}</legend>
      <Field label="Issuer" hint={rule.issuer}>
        {(attributes) => (
          <select
            {...attributes}
            value={rule.issuer}
            onChange={(event) => {
              setRaw(false);
              onChange(newRule(issuerOf(offered, event.currentTarget.value)));
            }}
          >
            {offered.map((one) => (
              <option key={one.issuer} value={one.issuer}>
                {issuerLabel(one)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {shown ? (
        <PresetFields
          key={rule.issuer}
          preset={shown}
          rule={rule}
          isWrong={isWrong}
          onChange={(claims) => set({ claims })}
        />
      ) : (
        <Claims
          rule={rule}
          issuer={issuer}
          isWrong={isWrong}
          id={id}
          onChange={(claims) => set({ claims })}
        />
      )}
      {isWrong && (
        <div class="field-error" id={`${id}-error`}>
          {wrong.map((words) => (
            <p key={words}>{words}</p>
          ))}
        </div>
      )}
      {shown && (
        <p class="hint">
          <strong>Edit claims</strong> shows the rule as claims of the token, so that you can add any other
          claim, or accept every value that begins with a text.
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
        {preset && isRaw && fitsPreset(preset, rule) && (
          <button type="button" onClick={() => setRaw(false)}>
            Hide claims
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
        <Field
          label="Audience"
          hint={`Leave empty for ${issuer.audience ?? `this service: ${location.origin}`}`}
        >
          {(attributes) => (
            <input
              {...attributes}
              maxLength={256}
              {...VERBATIM}
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
        <p class="hint">
          Only if each step of a job requests its own token. On GitLab, all steps of a job share one token.
        </p>
      </details>
    </fieldset>
  );
}

interface ClaimsProps {
  rule: RuleFields;
  isWrong: boolean;
  onChange: (claims: RuleFields['claims']) => void;
}

/** A rule has at most one condition for each claim, so a second one would replace the first one. */
const REPEATED = 'The rule already has a condition for this claim.';

/** Edits the claims of a rule one by one. */
function Claims({
  rule,
  issuer,
  isWrong,
  id,
  onChange,
}: ClaimsProps & { issuer: TrustedIssuer; id: string }) {
  const { claims, hint } = claimsOf(issuer);
  const setClaim = (at: number, changes: Partial<RuleFields['claims'][number]> | undefined) =>
    onChange(
      rule.claims.flatMap((claim, index) =>
        index === at ? (changes ? { ...claim, ...changes } : []) : claim,
      ),
    );
  const isRepeated = (name: string, at: number) => rule.claims.findIndex((claim) => claim.name === name) < at;
  return (
    <>
      <p class="hint" id={`${id}-hint`}>
        A token must have all these claims. {hint}
      </p>
      <datalist id={`${id}-claims`}>
        {claims.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      {rule.claims.map(({ name, match, value }, index) => (
        <div key={index} class="claim">
          <input
            ref={(input) => input?.setCustomValidity(isRepeated(name, index) ? REPEATED : '')}
            aria-label={`Claim ${index + 1}`}
            list={`${id}-claims`}
            required
            maxLength={100}
            {...VERBATIM}
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
            {...VERBATIM}
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
      {lookup && (
        <Field label={lookup.label} hint="Only to find the number. It is not stored.">
          {(attributes) => (
            <input
              {...attributes}
              {...VERBATIM}
              maxLength={200}
              placeholder={lookup.placeholder}
              value={tenant}
              onInput={(event) => setTenant(event.currentTarget.value.trim())}
            />
          )}
        </Field>
      )}
      {lookup && isTenant(tenant) && (
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
              aria-invalid={attributes['aria-invalid'] ?? ((isWrong && field.isRequired) || undefined)}
              required={field.isRequired}
              pattern={field.pattern?.[0]}
              title={field.pattern?.[1]}
              maxLength={200}
              {...VERBATIM}
              placeholder={field.placeholder}
              value={presetValue(field, rule)}
              onInput={(event) => onChange(withPresetValue(field, rule, event.currentTarget.value))}
            />
          )}
        </Field>
      ))}
      {isOpen && warning && (
        <Notice kind="warning">
          <p>{warning}</p>
        </Notice>
      )}
    </>
  );
}
