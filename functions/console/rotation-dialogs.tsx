import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { Dialog, Failure, Field, Notice, Time } from './parts.tsx';
import { paths } from './paths.ts';
import type { ApiKey, RetireOld } from './resources.ts';
import { useAction, useTools } from './state.ts';

interface Props {
  deploymentId: string;
  apiKey: ApiKey;
  onClose: () => void;
  onChange: () => void;
}

const DAY = 86_400;
const CHOICES: { value: string; retireOld: RetireOld; label: string; hint: string }[] = [
  [7 * DAY, 'After 7 days'],
  [3600, 'After an hour'],
  [DAY, 'After a day'],
  [30 * DAY, 'After 30 days'],
  [90 * DAY, 'After 90 days'],
].map(([retireOld, label]) => ({
  value: String(retireOld),
  retireOld: Number(retireOld),
  label: String(label),
  hint: 'Until then both secrets are accepted. Tokens live on.',
}));
CHOICES.push(
  {
    value: 'on_first_use',
    retireOld: 'on_first_use',
    label: 'When the new one is first used',
    hint:
      'For a key with one user only: a second one would be locked out by the first. After 7 days at the latest. ' +
      'Tokens live on.',
  },
  {
    value: '0',
    retireOld: 0,
    label: 'At once',
    hint: 'Whoever still has the old secret is refused from now on. Tokens live on: if it leaked, use It leaked.',
  },
);

/** A new secret, while the old one goes on for a while. */
export function Rotate(props: Props) {
  const { apiKey } = props;
  const [value, setValue] = useState(String(7 * DAY));
  const choice = CHOICES.find((one) => one.value === value);
  if (apiKey.status === 'leaked') return <ItLeaked {...props} />;
  return (
    <NewSecret {...props} title="Rotate" retireOld={choice?.retireOld ?? 7 * DAY} action="Rotate">
      <p>
        <strong class="name">{apiKey.name}</strong> gets a new secret, which is shown once.
      </p>
      <GivesWay {...props} />
      <Field label="The old secret is refused" hint={choice?.hint}>
        {(attributes) => (
          <select
            autoFocus
            {...attributes}
            value={value}
            onChange={(event) => setValue(event.currentTarget.value)}
          >
            {CHOICES.map((one) => (
              <option key={one.value} value={one.value}>
                {one.label}
              </option>
            ))}
          </select>
        )}
      </Field>
    </NewSecret>
  );
}

/** There are never more than two living secrets: which of two makes room. */
function GivesWay({ apiKey: { credentials } }: Props) {
  const [old, fresh] = credentials;
  if (!old || !fresh) return null;
  return (
    <Notice kind="warning">
      {fresh.lastUsedAt === undefined ? (
        <p>
          The secret that was made <Time of={fresh.createdAt} /> has never been used: the new one takes its
          place. The older one goes on.
        </p>
      ) : (
        <p>
          The key has two secrets already, and never has more: the older one, made <Time of={old.createdAt} />
          , is refused at once.
        </p>
      )}
    </Notice>
  );
}

/** A new secret, and nothing from before is accepted: the way out for a key whose secret somebody has seen. */
export function ItLeaked(props: Props) {
  const { name, status, leakedAt } = props.apiKey;
  return (
    <NewSecret {...props} title="It leaked" retireOld="now" action="Replace the secret now" isDanger>
      {status === 'leaked' && (
        <p>
          <strong class="name">{name}</strong> was reported as leaked {leakedAt && <Time of={leakedAt} />} and
          disabled. A new secret takes it into use again, if it was in use before.
        </p>
      )}
      <Notice kind="warning">
        <p>
          <strong>Nothing from before is accepted.</strong> The old secrets of{' '}
          <span class="name">{name}</span> are refused at once, and every older token at its next check. Its
          pipelines stop until they have the new secret.
        </p>
      </Notice>
    </NewSecret>
  );
}

interface NewSecretProps extends Props {
  title: string;
  retireOld: RetireOld;
  action: string;
  isDanger?: boolean;
  children: ComponentChildren;
}

function NewSecret({ deploymentId, apiKey, onClose, onChange, ...props }: NewSecretProps) {
  const { api, setMade } = useTools();
  const { route } = useLocation();
  const { isBusy, error, run } = useAction();
  const { title, retireOld, action, isDanger, children } = props;
  const attempt = useRef({ retireOld, id: '' });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy) return;
    // The same again after a lost answer must not rotate twice.
    const isSame = attempt.current.id !== '' && attempt.current.retireOld === retireOld;
    if (!isSame) attempt.current = { retireOld, id: crypto.randomUUID() };
    run(async () => {
      setMade(await api.rotateKey(deploymentId, apiKey.id, retireOld, attempt.current.id));
      onChange();
      route(paths.key(deploymentId, apiKey.id, 'secret'), true);
    });
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        {children}
        {error !== undefined && <Failure error={error} />}
        <footer>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class={isDanger ? 'danger' : 'primary'} disabled={isBusy}>
            {isBusy ? 'Rotating…' : action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
