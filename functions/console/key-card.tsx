import { ruleWords } from './issuers.ts';
import { stateOf } from './key-fields.ts';
import { CopyButton, Failure, Notice, Scopes, Time } from './parts.tsx';
import { paths } from './paths.ts';
import type { ApiKey, Credential } from './resources.ts';
import { useAction, useTools } from './state.ts';

interface Props {
  apiKey: ApiKey;
  deploymentId: string;
  /** Reloads the list. */
  onChange: () => void;
}

/** A key in the list: its status, its actions and its use. */
export function KeyCard(props: Props) {
  const { apiKey, deploymentId } = props;
  const { id, name, description, scopes, status, malformed, trust, networks } = apiKey;
  const state = stateOf(apiKey, Date.now());
  const action = (dialog: 'edit' | 'rotate' | 'leaked' | 'ci' | 'delete', label: string, quiet = '') => (
    <a class={`button ${quiet}`} href={paths.key(deploymentId, id, dialog)} aria-label={`${label} ${name}`}>
      {label}
    </a>
  );
  return (
    <li class="card">
      <div class="card-head">
        <h2 class="name">{name}</h2>
        <span class={`state ${state.tone}`}>{state.words}</span>
        <div class="buttons">
          {malformed ? (
            action('delete', 'Delete', 'danger-quiet')
          ) : (
            <>
              {action('edit', 'Edit')}
              {trust && action('ci', 'CI setup')}
              {!trust && status !== 'leaked' && action('rotate', 'Rotate')}
              {!trust &&
                action('leaked', status === 'leaked' ? 'Replace secret' : 'Report a leak', 'danger-quiet')}
            </>
          )}
        </div>
      </div>
      {malformed ? <Malformed {...props} /> : <WayBack {...props} />}
      <UnboundTrust {...props} />
      {description && <p class="description">{description}</p>}
      <p class="value-line">
        <code title={id}>{id}</code>
        <CopyButton text={id} what="ID" />
      </p>
      <Scopes scopes={scopes} />
      {trust && (
        <ul class="rules" aria-label="Trust rules">
          {trust.map((rule) => (
            <li key={ruleWords(rule)}>{ruleWords(rule)}</li>
          ))}
        </ul>
      )}
      {networks.length > 0 && (
        <p class="networks">
          Only from <span class="mono">{networks.join(', ')}</span>
        </p>
      )}
      <Facts apiKey={apiKey} />
    </li>
  );
}

/** Says what a malformed key can still do, and offers to disable it. */
function Malformed({ apiKey: { id, name, enabled }, deploymentId, onChange }: Props) {
  const { api } = useTools();
  const { isBusy, error, run } = useAction();
  const disable = () =>
    run(async () => {
      await api.editKey(deploymentId, id, { enabled: false });
      onChange();
    });
  return (
    <Notice kind="error">
      <p>
        Somebody has damaged this key in the table, so it gets no new tokens.{' '}
        {enabled && 'Its existing tokens may still be valid: disable the key to revoke them. '}
        Delete it and create another one, or ask an operator of the service to repair it.
      </p>
      {error !== undefined && <Failure error={error} />}
      {enabled && (
        <button type="button" onClick={disable} disabled={isBusy}>
          Disable<span class="unseen">: {name}</span>
        </button>
      )}
    </Notice>
  );
}

/** Says why the service rejects a key, and how to use the key again. */
function WayBack({ apiKey, deploymentId, onChange }: Props) {
  const { api } = useTools();
  const { isBusy, error, run } = useAction();
  const { id, name, status, leakedAt } = apiKey;
  const useAgain = () =>
    run(async () => {
      await api.editKey(deploymentId, id, { enabled: true });
      onChange();
    });
  if (status === 'leaked') {
    return (
      <Notice kind="error">
        <p>
          Reported as leaked {leakedAt && <Time of={leakedAt} />}. The service rejects the key and all its
          tokens. <a href={paths.key(deploymentId, id, 'leaked')}>Replace the secret</a> to use the key again.
        </p>
      </Notice>
    );
  }
  if (status === 'expired') {
    return (
      <Notice kind="warning">
        <p>
          This key has expired. <a href={paths.key(deploymentId, id, 'edit')}>Set a later expiry</a> to use it
          again. Existing tokens stay revoked.
        </p>
      </Notice>
    );
  }
  if (status !== 'idle') return null;
  return (
    <Notice kind="warning">
      <p>The service rejects this key because it has not been used for too long.</p>
      {error !== undefined && <Failure error={error} />}
      <button type="button" onClick={useAgain} disabled={isBusy}>
        Reactivate key<span class="unseen">: {name}</span>
      </button>
    </Notice>
  );
}

/** Warns about trust rules of an earlier version that bind no tenant. */
function UnboundTrust({ apiKey: { id, unboundTrust = [] }, deploymentId }: Props) {
  if (unboundTrust.length === 0) return null;
  return (
    <Notice kind="warning">
      {unboundTrust.map(({ index, detail, ignored }) => (
        <p key={index}>
          Trust rule {index + 1} {detail}. {ignored ? 'It matches nothing' : 'It keeps matching'} until you{' '}
          <a href={paths.key(deploymentId, id, 'edit')}>edit the rule</a>.
        </p>
      ))}
    </Notice>
  );
}

function Facts({ apiKey }: { apiKey: ApiKey }) {
  const { createdAt, createdBy, expiresAt, lastUsedAt, lastUsedFrom, status, credentials } = apiKey;
  const [first, second] = credentials;
  return (
    <dl class="facts">
      <div>
        <dt>Last used</dt>
        <dd>
          {lastUsedAt ? <Time of={lastUsedAt} /> : 'never'}
          {lastUsedFrom?.address && (
            <>
              {' '}
              from <span class="mono">{lastUsedFrom.address}</span>
            </>
          )}
          {lastUsedFrom?.client && ` by ${lastUsedFrom.client}`}
        </dd>
      </div>
      <div>
        <dt>Created</dt>
        <dd>
          <Time of={createdAt} />
          {createdBy && ' by '}
          {createdBy && <span class="who">{createdBy}</span>}
        </dd>
      </div>
      {expiresAt && (
        <div>
          <dt>{status === 'expired' ? 'Expired' : 'Expires'}</dt>
          <dd>
            <Time of={expiresAt} />
          </dd>
        </div>
      )}
      {second && <Secret which="New secret" credential={second} />}
      {first && (second || first.createdAt !== createdAt) && (
        <Secret which={second ? 'Old secret' : 'Secret'} credential={first} />
      )}
    </dl>
  );
}

function Secret({ which, credential }: { which: string; credential: Credential }) {
  const { createdAt, lastUsedAt, retiresAt, retiresOnFirstUse } = credential;
  return (
    <div>
      <dt>{which}</dt>
      <dd>
        created <Time of={createdAt} />, {lastUsedAt ? 'last used ' : 'never used'}
        {lastUsedAt && <Time of={lastUsedAt} />}
        {retiresAt && ', retires '}
        {retiresOnFirstUse && 'when the new one is used, or '}
        {retiresAt && <Time of={retiresAt} />}
      </dd>
    </div>
  );
}
