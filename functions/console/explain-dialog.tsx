import { useState } from 'preact/hooks';
import { ApiError } from './api.ts';
import { CancelButton, Dialog } from './dialog.tsx';
import { ruleWords } from './issuers.ts';
import type { OneKeyDialogProps } from './key-actions.tsx';
import { faultOf, stateOf } from './key-fields.ts';
import { Failure, Field, Notice, VERBATIM } from './parts.tsx';
import { paths } from './paths.ts';
import type { ApiKey, Difference, Explanation } from './resources.ts';
import { useAction, useDropWhenHidden, useTools } from './state.ts';

/** Maximum length of a token that the service accepts for an explanation, in characters. */
const MAX_TOKEN = 16_384;

/**
 * Explains which of a key's trust rules a CI token matches, and how the token differs from the other rules. The token
 * exists only in the state of this dialog, so closing the dialog or leaving the page discards the token.
 */
export function ExplainToken({ deploymentId, apiKey, table, onClose }: OneKeyDialogProps) {
  const { api } = useTools();
  const { isBusy, error, run } = useAction();
  const [token, setToken] = useState('');
  const [explanation, setExplanation] = useState<Explanation>();
  const fault = faultOf(error instanceof ApiError ? error.fields : [], 'subject_token');
  const drop = () => {
    setToken('');
    setExplanation(undefined);
  };
  useDropWhenHidden(drop);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy) return;
    setExplanation(undefined);
    run(async () => setExplanation(await api.explain(deploymentId, apiKey.id, token.trim())));
  };
  return (
    <Dialog title="Explain a token" isWide onClose={onClose}>
      <form onSubmit={submit} autoComplete="off">
        <Field
          label="OIDC token"
          error={fault}
          hint="The token that your CI sends as subject_token. This page forgets it when you close the dialog, and the service neither stores nor logs it."
        >
          {(attributes) => (
            <textarea
              {...attributes}
              class="mono"
              rows={4}
              required
              maxLength={MAX_TOKEN}
              placeholder="eyJhbGciOiJSUzI1NiIs…"
              // The browser's autofill and spelling services would otherwise receive the token.
              {...VERBATIM}
              value={token}
              onInput={(event) => {
                setToken(event.currentTarget.value);
                setExplanation(undefined);
              }}
              autoFocus
            />
          )}
        </Field>
        {error !== undefined && fault === undefined && <Failure error={error} />}
        <div role="status">
          {explanation && <Explained explanation={explanation} trust={apiKey.trust ?? []} />}
        </div>
        <footer>
          <CancelButton>Close</CancelButton>
          {explanation && !explanation.matches && (
            <a class="button" href={paths.keyDialog(deploymentId, apiKey.id, 'edit', table)}>
              Edit trust rules
            </a>
          )}
          <button type="submit" class="primary" disabled={isBusy}>
            {isBusy ? 'Explaining…' : 'Explain token'}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

interface ExplainedProps {
  explanation: Explanation;
  trust: NonNullable<ApiKey['trust']>;
}

function Explained({ explanation: { status, matches, rules }, trust }: ExplainedProps) {
  const { config } = useTools();
  const state = stateOf({ status }, Date.now());
  return (
    <>
      <p>
        <strong>
          {matches ? 'The token satisfies the trust rules.' : 'The token satisfies none of the trust rules.'}
        </strong>
      </p>
      {status !== 'active' && (
        <Notice kind="warning">
          <p>The service rejects every token for this key while its status is “{state.words}”.</p>
        </Notice>
      )}
      <ol class="rows explained">
        {rules.map(({ index, matches: isMatch, differences }) => (
          <li key={index}>
            <p>
              <strong>Rule {index + 1}</strong>{' '}
              <span class={`state ${isMatch ? 'good' : 'bad'}`}>
                {isMatch ? 'Matches' : 'Does not match'}
              </span>
            </p>
            {trust[index] && <p class="quiet">{ruleWords(trust[index], config.trustedIssuers)}</p>}
            {differences.map((difference) => (
              <DifferenceItem key={`${difference.kind} ${difference.claim}`} difference={difference} />
            ))}
          </li>
        ))}
      </ol>
    </>
  );
}

/** Shows one difference as a sentence, with the expected and actual values if there are any. */
function DifferenceItem({ difference: { claim, expected, actual, detail } }: { difference: Difference }) {
  return (
    <div class="difference">
      <p>{detail}</p>
      {claim !== undefined && expected !== undefined && (
        <dl class="details compact">
          <dt>Claim</dt>
          <dd>
            <code>{claim}</code>
          </dd>
          <dt>Expected</dt>
          <dd>
            {typeof expected !== 'string' && 'begins with '}
            <code>{typeof expected === 'string' ? expected : expected.prefix}</code>
          </dd>
          {actual !== undefined && (
            <>
              <dt>In the token</dt>
              <dd>
                <code>{actual}</code>
              </dd>
            </>
          )}
        </dl>
      )}
    </div>
  );
}
