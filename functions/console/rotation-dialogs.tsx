import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { ActionDialog } from './action-dialog.tsx';
import { KeyFacts, type OneKeyDialogProps } from './key-actions.tsx';
import { Field, Notice, Time } from './parts.tsx';
import { paths } from './paths.ts';
import type { RetireOld } from './resources.ts';
import { useTools } from './state.ts';

type Props = OneKeyDialogProps;

/** One day, in seconds. */
const DAY_SECONDS = 86_400;
const CHOICES: { value: string; retireOld: RetireOld; label: string; hint: string }[] = [
  [3600, 'After 1 hour'],
  [DAY_SECONDS, 'After 1 day'],
  [7 * DAY_SECONDS, 'After 7 days'],
  [30 * DAY_SECONDS, 'After 30 days'],
  [90 * DAY_SECONDS, 'After 90 days'],
].map(([retireOld, label]) => ({
  value: String(retireOld),
  retireOld: Number(retireOld),
  label: String(label),
  hint: 'Both secrets work until then. Existing tokens stay valid.',
}));
CHOICES.push(
  {
    value: 'on_first_use',
    retireOld: 'on_first_use',
    label: 'When the new secret is first used',
    hint:
      'Only for a key with a single user: the first user of the new secret locks out all others. The old secret ' +
      'retires after 7 days at the latest. Existing tokens stay valid.',
  },
  {
    value: '0',
    retireOld: 0,
    label: 'Immediately',
    hint: 'The old secret stops working. Existing tokens stay valid. If the secret leaked, use Report a leak instead.',
  },
);

/** Dialog that rotates a key. The old secret keeps working for a limited time. */
export function Rotate(props: Props) {
  const { apiKey } = props;
  const [value, setValue] = useState(String(7 * DAY_SECONDS));
  const choice = CHOICES.find((one) => one.value === value);
  if (apiKey.status === 'leaked') return <ReportLeak {...props} />;
  return (
    <NewSecret
      {...props}
      title="Rotate secret"
      retireOld={choice?.retireOld ?? 7 * DAY_SECONDS}
      action="Rotate secret"
    >
      <p>The key gets a new secret, which is shown only once.</p>
      <KeyFacts apiKey={apiKey} />
      <GivesWay {...props} />
      <Field label="Retire the old secret" hint={choice?.hint}>
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

/** Text that says which secret a rotation would remove, because a key never has more than two active secrets. */
function GivesWay({ apiKey: { credentials } }: Props) {
  const [old, fresh] = credentials;
  if (!old || !fresh) return null;
  return (
    <Notice kind="warning">
      {fresh.lastUsedAt === undefined ? (
        <p>
          The secret created <Time of={fresh.createdAt} /> has never been used, so the new one replaces it.
          The older secret keeps working.
        </p>
      ) : (
        <p>
          The key already has two secrets, which is the maximum. The older one, created{' '}
          <Time of={old.createdAt} />, stops working immediately.
        </p>
      )}
    </Notice>
  );
}

/** Replaces the secret of a leaked key, and revokes all its existing secrets and tokens. */
export function ReportLeak(props: Props) {
  const { status, leakedAt } = props.apiKey;
  return (
    <NewSecret
      {...props}
      title={status === 'leaked' ? 'Replace the leaked secret' : 'Report a leak'}
      retireOld="now"
      action="Replace secret"
      isDanger
    >
      {status === 'leaked' && (
        <p>
          This key was reported as leaked {leakedAt && <Time of={leakedAt} />} and disabled. A new secret
          enables it again if it was enabled before.
        </p>
      )}
      <Notice kind="warning">
        <p>
          <strong>All existing secrets and tokens of this key stop working.</strong> Anything using the key
          loses access immediately, until it has the new secret. This can’t be undone.
        </p>
      </Notice>
      <KeyFacts apiKey={props.apiKey} />
    </NewSecret>
  );
}

interface NewSecretProps extends Props {
  title: string;
  retireOld: RetireOld;
  action: string;
  isDanger?: boolean | undefined;
  children: ComponentChildren;
}

function NewSecret({ deploymentId, apiKey, table, onClose, changes, ...props }: NewSecretProps) {
  const { api, setMade } = useTools();
  const { route } = useLocation();
  const { title, retireOld, action, isDanger, children } = props;
  const attempt = useRef({ retireOld, id: '' });
  const rotate = async () => {
    // A retry after a lost response must not rotate the key twice.
    const isSame = attempt.current.id !== '' && attempt.current.retireOld === retireOld;
    if (!isSame) attempt.current = { retireOld, id: crypto.randomUUID() };
    const made = await api.rotateKey(deploymentId, apiKey.id, retireOld, attempt.current.id);
    const { secret: _, ...key } = made;
    changes.onChanged(key);
    setMade(made);
    route(paths.keyDialog(deploymentId, apiKey.id, 'secret', table), true);
  };
  return (
    <ActionDialog
      title={title}
      action={action}
      busy="Rotating…"
      isDanger={isDanger}
      onAction={rotate}
      onClose={onClose}
    >
      {children}
    </ActionDialog>
  );
}
