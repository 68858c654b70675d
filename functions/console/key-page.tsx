import type { ComponentChildren } from 'preact';
import { useLocation } from 'preact-iso';
import { AccessTokens, useAccessTokens } from './access-tokens.tsx';
import { activityWords, stripDates } from './activity.ts';
import { ApiError } from './api.ts';
import { Breadcrumb, NotFound } from './deployment-frame.tsx';
import { EventItem } from './events.tsx';
import { ruleWords } from './issuers.ts';
import { useKeyActions, useKeyChanges, useKeyRevision } from './key-actions.tsx';
import { KeyDialogs } from './key-dialogs.tsx';
import { stateOf } from './key-fields.ts';
import { Menu } from './menu.tsx';
import {
  CameFrom,
  CopyButton,
  ExactTimes,
  Failure,
  Heading,
  Notice,
  PersonName,
  Skeleton,
  Time,
} from './parts.tsx';
import { paths, type View } from './paths.ts';
import type { ApiKey, KeySecret, ServiceEvent } from './resources.ts';
import { type Listing, type Loaded, useClose, useLoad, useTools } from './state.ts';
import { scopeWords } from './words.ts';

type KeyView = Extract<View, { page: 'key' }>;

/** Shows everything about one key. */
export default function KeyPage({ view: { deploymentId, keyId, dialog } }: { view: KeyView }) {
  const { api } = useTools();
  const { route } = useLocation();
  const { data: key, error, reload } = useLoad(`key ${keyId}`, () => api.key(deploymentId, keyId));
  const changes = useKeyChanges(deploymentId);
  const close = useClose(paths.key(deploymentId, keyId), dialog !== undefined);
  if (error instanceof ApiError && error.status === 404) {
    return <NotFound deploymentId={deploymentId} keyId={keyId} />;
  }
  return (
    <main>
      <Breadcrumb deploymentId={deploymentId} here="API key" />
      {error !== undefined && <Failure error={error} retry={reload} />}
      {!key && error === undefined && <Skeleton rows={4} label="Loading the key" />}
      {key && <KeyContent apiKey={key} deploymentId={deploymentId} />}
      {dialog && (
        <KeyDialogs
          dialog={{ name: dialog, keyId }}
          deploymentId={deploymentId}
          onClose={close}
          onGone={() => route(paths.keys(deploymentId), true)}
          changes={changes}
        />
      )}
    </main>
  );
}

interface ContentProps {
  apiKey: ApiKey;
  deploymentId: string;
}

function KeyContent(props: ContentProps) {
  const { apiKey, deploymentId } = props;
  const { name, description, trust } = apiKey;
  const state = stateOf(apiKey, Date.now());
  // A change to the key can revoke its tokens and creates an event, so the tokens and the events are reloaded.
  const revision = useKeyRevision(apiKey.id);
  return (
    <>
      <div class="head">
        <div class="titles">
          <Heading title={`${name} of ${deploymentId}`}>
            <bdi>{name}</bdi>
          </Heading>
          <span class={`state ${state.tone}`}>{state.words}</span>
        </div>
        <Actions {...props} />
      </div>
      {description && (
        <p class="lead" dir="auto">
          {description}
        </p>
      )}
      <StatusNotice {...props} />
      <UnboundTrust {...props} />
      <Policy {...props} />
      <div class="columns">
        <div class="stack">
          {trust ? <Rules {...props} trust={trust} /> : <Secrets apiKey={apiKey} />}
          {!apiKey.malformed && <Activity days={apiKey.activeDays} />}
        </div>
        <Details apiKey={apiKey} />
        {/* The tokens and events come last, so that nothing moves in a single-column layout when they load. */}
        <Usage key={revision} {...props} />
      </div>
    </>
  );
}

/** Shows the first actions as buttons and the others in a menu. */
function Actions(props: ContentProps) {
  const { edit, rotate, ci, leaked, ...rest } = useKeyActions(props);
  const isLeaked = props.apiKey.status === 'leaked';
  const buttons = isLeaked ? { edit, leaked } : { edit, ci, rotate };
  const others = isLeaked ? rest : { leaked, ...rest };
  return (
    <div class="buttons">
      {Object.entries(buttons).map(
        ([action, element]) =>
          element && (
            <span key={action} class="as-button">
              {element}
            </span>
          ),
      )}
      <Menu label={props.apiKey.name}>{Object.values(others).filter(Boolean)}</Menu>
    </div>
  );
}

/** Explains why the service rejects a key, and how to make the key usable again. */
function StatusNotice({ apiKey, deploymentId }: ContentProps) {
  const { id, status, leakedAt, malformed, enabled } = apiKey;
  const { enable } = useKeyActions({ apiKey, deploymentId });
  const link = (dialog: 'edit' | 'leaked' | 'disable' | 'delete', words: string) => (
    <a href={paths.keyDialog(deploymentId, id, dialog)}>{words}</a>
  );
  if (malformed) {
    return (
      <Notice kind="error">
        <p>
          The stored data of this key is damaged, so it gets no new tokens.{' '}
          {enabled && (
            <>Its existing tokens may still be valid: {link('disable', 'disable the key')} to revoke them. </>
          )}
          {link('delete', 'Delete it')} and create another one, or ask an operator of the service to repair
          it.
        </p>
      </Notice>
    );
  }
  if (status === 'leaked') {
    return (
      <Notice kind="error">
        <p>
          Reported as leaked {leakedAt && <Time of={leakedAt} />}. The service rejects the key and all its
          tokens. {link('leaked', 'Replace the secret')} to use the key again.
        </p>
      </Notice>
    );
  }
  const words = {
    expired: (
      <>
        This key has expired. {link('edit', 'Set a later expiry')} to use it again. Existing tokens stay
        revoked.
      </>
    ),
    idle: (
      <>
        The service rejects this key because it has not been used for too long. Reactivate it to use it again.
      </>
    ),
    disabled: <>This key is disabled. Existing tokens stay revoked even if you enable it again.</>,
    active: undefined,
  }[status];
  return words ? (
    <Notice kind="warning">
      <p>{words}</p>
      {enable}
    </Notice>
  ) : null;
}

const VIOLATIONS = {
  no_expiry: 'it has no expiry',
  expiry_too_late: 'it expires later than the stack allows',
  secret: 'it has a secret, and the stack requires OIDC tokens',
};

/** Shows how a key that is older than the stack's policy violates that policy. */
function Policy({ apiKey: { policyViolations = [] } }: ContentProps) {
  if (policyViolations.length === 0) return null;
  return (
    <Notice kind="warning">
      <p>
        This key violates the key policy:{' '}
        {policyViolations.map((violation) => VIOLATIONS[violation]).join(', and ')}. It keeps working.
      </p>
    </Notice>
  );
}

/** Warns about trust rules that were created by an earlier version and do not bind a tenant. */
function UnboundTrust({ apiKey: { id, unboundTrust = [] }, deploymentId }: ContentProps) {
  if (unboundTrust.length === 0) return null;
  return (
    <Notice kind="warning">
      {unboundTrust.map(({ index, detail, ignored }) => (
        <p key={index}>
          Trust rule {index + 1} {detail}. {ignored ? 'It matches nothing' : 'It keeps matching'} until you{' '}
          <a href={paths.keyDialog(deploymentId, id, 'edit')}>edit the rule</a>.
        </p>
      ))}
    </Notice>
  );
}

interface CardProps {
  title: string;
  link?: ComponentChildren;
  children: ComponentChildren;
}

function Card({ title, link, children }: CardProps) {
  return (
    <section class="card" aria-label={title}>
      <div class="card-head">
        <h2>{title}</h2>
        {link}
      </div>
      {children}
    </section>
  );
}

/** Shows on which of the last 90 days the key was used. */
function Activity({ days }: { days: readonly string[] }) {
  const used = new Set(days);
  return (
    <Card title="Activity">
      <div class="strip" role="img" aria-label={activityWords(days)}>
        {stripDates(Date.now()).map((date) => (
          <span key={date} class={used.has(date) ? 'used' : undefined} title={date} />
        ))}
      </div>
      <p class="strip-ends quiet">
        <span>90 days ago</span>
        <span>{days.length === 1 ? 'used on 1 day' : `used on ${days.length} days`}</span>
        <span>today (UTC)</span>
      </p>
    </Card>
  );
}

function Details({ apiKey }: { apiKey: ApiKey }) {
  const { id, scopes, networks, status, expiresAt, lastUsedAt, lastUsedFrom } = apiKey;
  return (
    <section class="card aside" aria-label="Details">
      <div class="card-head">
        <h2>Details</h2>
        <ExactTimes />
      </div>
      <dl class="details">
        <dt>ID</dt>
        <dd class="value-line">
          <code>{id}</code>
          <CopyButton text={id} what="ID" />
        </dd>
        <dt>Scopes</dt>
        <dd>
          {scopes.map((scope) => (
            <span key={scope} class="line">
              <code>{scope}</code> {scopeWords(scope) && <span class="hint">{scopeWords(scope)}</span>}
            </span>
          ))}
          {scopes.length === 0 && 'none'}
        </dd>
        <dt>{status === 'expired' ? 'Expired' : 'Expires'}</dt>
        <dd>{expiresAt ? <Time of={expiresAt} isExact /> : 'never'}</dd>
        <dt>Allowed IP ranges</dt>
        <dd>
          {networks.length === 0
            ? 'Any address'
            : networks.map((network) => (
                <code key={network} class="line">
                  {network}
                </code>
              ))}
        </dd>
        <Created apiKey={apiKey} />
        <dt>Last used</dt>
        {/* The last use comes last and is three lines tall, so that nothing moves when the key's first use is loaded. */}
        <dd class="three-lines">
          {lastUsedAt ? <Time of={lastUsedAt} isExact /> : 'never'}
          {lastUsedFrom && (
            <span class="line">
              <CameFrom origin={lastUsedFrom} />
            </span>
          )}
        </dd>
      </dl>
    </section>
  );
}

function Created({ apiKey: { createdAt, createdBy, createdByName } }: { apiKey: ApiKey }) {
  return (
    <>
      <dt>Created</dt>
      <dd>
        <Time of={createdAt} isExact />
        {createdBy && (
          <span class="line">
            by <PersonName sub={createdBy} name={createdByName} />
          </span>
        )}
      </dd>
    </>
  );
}

/** Shows the active secrets, newest first. */
function Secrets({ apiKey: { credentials } }: { apiKey: ApiKey }) {
  const title = (index: number) => {
    if (credentials.length === 1) return 'Secret';
    return index === 0 ? 'New secret' : 'Old secret';
  };
  return (
    <Card title="Secrets">
      {credentials.length === 0 && <p class="quiet">This key has no active secret.</p>}
      <ul class="rows">
        {credentials.toReversed().map((credential, index) => (
          <SecretRow key={credential.createdAt} title={title(index)} credential={credential} />
        ))}
      </ul>
    </Card>
  );
}

function SecretRow({ title, credential }: { title: string; credential: KeySecret }) {
  const { createdAt, lastUsedAt, retiresAt, retiresOnFirstUse } = credential;
  return (
    <li>
      <strong>{title}</strong>{' '}
      <span class="quiet">
        created <Time of={createdAt} />
      </span>
      {/* The last use has its own line, so that the row keeps its height when the secret's first use is loaded. */}
      <span class="quiet line">
        {lastUsedAt ? 'last used ' : 'never used'}
        {lastUsedAt && <Time of={lastUsedAt} />}
      </span>
      {retiresAt && (
        <span class="line">
          <span class="state warning">
            retires {retiresOnFirstUse && 'when the new one is used, or '}
            <Time of={retiresAt} />
          </span>
        </span>
      )}
    </li>
  );
}

function Rules({
  apiKey: { id, malformed },
  deploymentId,
  trust,
}: ContentProps & { trust: NonNullable<ApiKey['trust']> }) {
  const { config } = useTools();
  return (
    <Card
      title="Trust rules"
      link={!malformed && <a href={paths.keyDialog(deploymentId, id, 'explain')}>Explain a token</a>}
    >
      <p class="hint">The key accepts an OIDC token that satisfies one of these rules. It has no secret.</p>
      <ul class="rows" aria-label="Trust rules">
        {trust.map((rule) => (
          <li key={JSON.stringify(rule)}>{ruleWords(rule, config.trustedIssuers)}</li>
        ))}
      </ul>
    </Card>
  );
}

/**
 * Shows a key's active tokens and latest events. The tokens and the events appear at the same time, so that the layout
 * does not shift. The page is useful without them, so an error that occurs while loading them is shown only here.
 */
function Usage({ apiKey, deploymentId }: ContentProps) {
  const { api } = useTools();
  const { id } = apiKey;
  const tokens = useAccessTokens(deploymentId, id);
  const events = useLoad<Listing<ServiceEvent>>(`events ${deploymentId} ${id}`, () =>
    api.events(deploymentId, undefined, id),
  );
  const isLoading = [tokens, events].some(({ data, error }) => !data && error === undefined);
  if (isLoading) return <Skeleton rows={6} isTable label="Loading the active tokens and the events" />;
  return (
    <div class="stack">
      <AccessTokens apiKey={apiKey} deploymentId={deploymentId} listing={tokens} />
      <KeyEvents keyId={id} deploymentId={deploymentId} events={events} />
    </div>
  );
}

interface EventsProps {
  keyId: string;
  deploymentId: string;
  events: Loaded<Listing<ServiceEvent>>;
}

function KeyEvents({ keyId, deploymentId, events: { data, error, reload } }: EventsProps) {
  const own = data?.items ?? [];
  return (
    <Card title="Events" link={<a href={paths.events(deploymentId, { keyId })}>All events of this key</a>}>
      {error !== undefined && <Failure error={error} retry={reload} />}
      {data && own.length === 0 && <p class="quiet">No recent events about this key.</p>}
      <ul class="rows">
        {own.slice(0, 10).map((event) => (
          <EventItem key={event.id} event={event} deploymentId={deploymentId} isOfKeyPage />
        ))}
      </ul>
    </Card>
  );
}
