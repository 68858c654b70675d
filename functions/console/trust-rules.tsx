import { useId } from 'preact/hooks';
import { claimsOf, issuerLabel, newRule } from './issuers.ts';
import { faultOf, type RuleFields } from './key-fields.ts';
import { Field, Icon } from './parts.tsx';
import type { FieldFault } from './resources.ts';

/** The maximum number of rules of a key, and of claims of a rule. The service has the same limits. */
const MOST = 10;

interface RulesProps {
  rules: RuleFields[];
  /** Issuers that the stack trusts. */
  issuers: readonly string[];
  faults: readonly FieldFault[];
  onChange: (rules: RuleFields[]) => void;
}

/** The trust rules of a key. It accepts a token that satisfies one of them. */
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
  /** Undefined if it is the only rule. */
  onRemove: (() => void) | undefined;
}

function Rule({ number, rule, issuers, faults, onChange, onRemove }: RuleProps) {
  const id = useId();
  const { claims, hint } = claimsOf(rule.issuer);
  const set = (changes: Partial<RuleFields>) => onChange({ ...rule, ...changes });
  const setClaim = (at: number, changes: Partial<RuleFields['claims'][number]> | undefined) =>
    set({
      claims: rule.claims.flatMap((claim, index) =>
        index === at ? (changes ? { ...claim, ...changes } : []) : claim,
      ),
    });
  const at = `trust[${number - 1}]`;
  const wrong = faultOf(faults, at);
  // An issuer that the stack no longer trusts is still shown, but the service rejects rules for it.
  const offered = issuers.includes(rule.issuer) ? issuers : [...issuers, rule.issuer];
  return (
    <fieldset class="rule" aria-describedby={`${id}-hint${wrong ? ` ${id}-error` : ''}`}>
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
            aria-invalid={wrong ? true : undefined}
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
      {wrong && (
        <p class="field-error" id={`${id}-error`}>
          The rule {wrong}
        </p>
      )}
      <div class="actions">
        {rule.claims.length < MOST && (
          <button
            type="button"
            onClick={() => set({ claims: [...rule.claims, { name: '', match: 'is', value: '' }] })}
          >
            Add claim
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
