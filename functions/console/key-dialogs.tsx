import { useEffect, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { ApiError, type ApiKey, type KeyFields } from './api.ts';
import {
  Code,
  Dialog,
  Failure,
  Field,
  LabelledValue,
  Notice,
  ScopeChoice,
  Skeleton,
  Tabs,
} from './parts.tsx';
import { type KeyDialog, paths } from './paths.ts';
import { SNIPPETS } from './snippets.ts';
import { useAction, useLoad, useTools } from './state.ts';
import { dayOf } from './words.ts';

interface Props {
  deploymentId: string;
  /** Back to the list. */
  onClose: () => void;
  /** The list is to be read again. */
  onChange: () => void;
  /** The key is gone from the list. */
  onDeleted: (keyId: string) => void;
}

/** The dialog that the URL names, over the list of keys. */
export function KeyDialogs({ dialog, ...props }: Props & { dialog: KeyDialog }) {
  if (dialog.name === 'add') return <AddKey {...props} />;
  if (dialog.name === 'secret') return <Secret {...props} keyId={dialog.keyId} />;
  return <OneKey {...props} keyId={dialog.keyId} isDeleting={dialog.name === 'delete'} />;
}

function AddKey({ deploymentId, onClose, onChange }: Props) {
  const { api, config, setMade } = useTools();
  const { route } = useLocation();
  const submit = async (fields: KeyFields, attempt: string) => {
    const key = await api.addKey(fields, deploymentId, attempt);
    setMade(key);
    onChange();
    route(paths.key(deploymentId, key.id, 'secret'), true);
  };
  return (
    <Dialog title="Add API Key" onClose={onClose}>
      <KeyForm
        path={paths.addKey(deploymentId)}
        initial={{ name: '', description: '', scopes: config.scopes, enabled: true, expiresAt: null }}
        action="Add API Key"
        onSubmit={submit}
        onCancel={onClose}
      />
    </Dialog>
  );
}

/** The one time that the secret is seen. */
function Secret({ keyId, onClose }: Props & { keyId: string }) {
  const { made, setMade } = useTools();
  // Whichever way this view is left, the secret goes with it.
  useEffect(() => () => setMade(undefined), []);
  const secret = made?.id === keyId ? made.secret : undefined;
  if (!secret) {
    return (
      <Dialog title="The secret is not shown again" onClose={onClose}>
        <p>
          A secret is shown once, when its key is made. If it is lost, delete this key and add another one.
        </p>
        <LabelledValue label="ID" text={keyId} />
        <footer>
          <button type="button" class="primary" onClick={onClose}>
            Back to API Keys
          </button>
        </footer>
      </Dialog>
    );
  }
  return (
    <Dialog title={`${made?.name} is ready`} isWide isDismissible={false} onClose={onClose}>
      <Notice kind="warning">
        <p>
          <strong>This is the only time that the secret is shown.</strong> Copy it now to where your pipeline
          keeps its secrets.
        </p>
      </Notice>
      <LabelledValue label="ID" text={keyId} />
      <LabelledValue label="Secret" text={secret} />
      <h3>Use it</h3>
      <Tabs
        label="Where to use it"
        tabs={SNIPPETS.map(({ id, label, store, code }) => ({
          id,
          label,
          body: (
            <>
              <p class="hint">{store}</p>
              <Code text={code({ keyId, service: location.origin })} what={`${label} snippet`} />
            </>
          ),
        }))}
      />
      <footer>
        <button type="button" class="primary" onClick={onClose}>
          I have saved the secret
        </button>
      </footer>
    </Dialog>
  );
}

function OneKey({ keyId, isDeleting, ...props }: Props & { keyId: string; isDeleting: boolean }) {
  const { deploymentId, onClose } = props;
  const { api } = useTools();
  const { data: key, error, reload } = useLoad(keyId, () => api.key(deploymentId, keyId));
  if (key && isDeleting) return <DeleteKey {...props} apiKey={key} />;
  if (key) return <EditKey {...props} apiKey={key} />;
  return (
    <Dialog title="API Key" onClose={onClose}>
      {error ? <Failure error={error} retry={reload} /> : <Skeleton rows={3} label="Loading the key" />}
    </Dialog>
  );
}

function EditKey({ deploymentId, apiKey, onClose, onChange }: Props & { apiKey: ApiKey }) {
  const { api } = useTools();
  const { route } = useLocation();
  const submit = async (fields: KeyFields) => {
    await api.editKey(deploymentId, apiKey.id, fields);
    onChange();
    onClose();
  };
  return (
    <Dialog title="Edit API Key" onClose={onClose}>
      <KeyForm
        path={paths.key(deploymentId, apiKey.id, 'edit')}
        initial={{ ...apiKey, description: apiKey.description ?? '', expiresAt: apiKey.expiresAt ?? null }}
        isMade
        action="Save"
        onSubmit={submit}
        onCancel={onClose}
        onDelete={() => route(paths.key(deploymentId, apiKey.id, 'delete'), true)}
      />
    </Dialog>
  );
}

function DeleteKey({ deploymentId, apiKey, onClose, onDeleted }: Props & { apiKey: ApiKey }) {
  const { api } = useTools();
  const { isBusy, error, run } = useAction();
  const [typed, setTyped] = useState('');
  const isConfirmed = typed.trim() === apiKey.name.trim();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (!isConfirmed || isBusy) return;
    run(async () => {
      await api.deleteKey(deploymentId, apiKey.id);
      onDeleted(apiKey.id);
      onClose();
    });
  };
  return (
    <Dialog title="Delete API Key" onClose={onClose}>
      <form onSubmit={submit}>
        <p>
          Whatever uses <strong class="name">{apiKey.name}</strong> is refused at once, and its tokens do not
          come back. This cannot be undone.
        </p>
        {error !== undefined && <Failure error={error} />}
        <Field label="Type the key’s name to delete it">
          {(attributes) => (
            <input
              {...attributes}
              value={typed}
              onInput={(event) => setTyped(event.currentTarget.value)}
              autoComplete="off"
              spellcheck={false}
              autoFocus
            />
          )}
        </Field>
        <footer>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="danger" disabled={!isConfirmed || isBusy}>
            {isBusy ? 'Deleting…' : 'Delete API Key'}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

const DAY = 86_400_000;
const EXPIRIES = [
  { value: 'never', label: 'Never' },
  { value: '30', label: 'In 30 days' },
  { value: '90', label: 'In 90 days' },
  { value: '365', label: 'In a year' },
  { value: 'date', label: 'On a date…' },
];

/** What the form holds; all of it survives a sign-in that ends in between. */
interface Fields extends Omit<KeyFields, 'expiresAt'> {
  /** One of EXPIRIES, or `kept` for the expiry that the key has. */
  expiry: string;
  /** `2027-01-31`, for `date`. */
  date: string;
}

interface KeyFormProps {
  /** URL of this form, under which its draft is kept. */
  path: string;
  initial: KeyFields;
  /** The key is there already. */
  isMade?: boolean;
  action: string;
  onSubmit: (fields: KeyFields, attempt: string) => Promise<void>;
  onCancel: () => void;
  onDelete?: () => void;
}

function KeyForm({ path, initial, isMade, action, onSubmit, onCancel, onDelete }: KeyFormProps) {
  const { config, drafts } = useTools();
  const { isBusy, error, run } = useAction();
  const [fields, setFields] = useState<Fields>(() => {
    const { expiresAt, name, description, scopes, enabled } = initial;
    const expiry = expiresAt ? 'kept' : 'never';
    return drafts.take<Fields>(path) ?? { name, description, scopes, enabled, expiry, date: '' };
  });
  const set = (changes: Partial<Fields>) => setFields({ ...fields, ...changes });
  useEffect(() => drafts.note(path, fields), [fields]);
  useEffect(() => () => drafts.note(path, undefined), []);

  const attempt = useRef({ body: '', id: '' });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy) return;
    const { expiry, date, ...rest } = fields;
    const expiresAt = expiry === 'kept' ? initial.expiresAt : expiryOf(expiry, date);
    const input = { ...rest, expiresAt };
    // The same again after a lost answer must not make a second key.
    const body = JSON.stringify({ ...rest, expiry, date });
    if (attempt.current.body !== body) attempt.current = { body, id: crypto.randomUUID() };
    run(() => onSubmit(input, attempt.current.id));
  };
  const wrong = error instanceof ApiError ? error.fields : {};
  const isInFields = Object.keys(wrong).length > 0;
  const kept = initial.expiresAt
    ? [{ value: 'kept', label: `On ${dayOf(initial.expiresAt)}, as it is` }]
    : [];

  return (
    <form onSubmit={submit}>
      {error !== undefined && !isInFields && <Failure error={error} />}
      <Field label="Name" error={wrong.name}>
        {(attributes) => (
          <input
            {...attributes}
            required
            maxLength={100}
            value={fields.name}
            onInput={(event) => set({ name: event.currentTarget.value })}
            autoComplete="off"
            placeholder="Deploy from main"
            autoFocus
          />
        )}
      </Field>
      <Field label="Description" hint="Optional: where it is used, whom to ask." error={wrong.description}>
        {(attributes) => (
          <textarea
            {...attributes}
            rows={2}
            maxLength={500}
            value={fields.description}
            onInput={(event) => set({ description: event.currentTarget.value })}
          />
        )}
      </Field>
      <ScopeChoice
        known={config.scopes}
        chosen={fields.scopes}
        error={wrong.scopes}
        onChange={(scopes) => set({ scopes })}
      />
      <Field label="Expires" error={wrong.expiresAt}>
        {(attributes) => (
          <span class="side-by-side">
            <select
              {...attributes}
              value={fields.expiry}
              onChange={(event) => set({ expiry: event.currentTarget.value })}
            >
              {[...kept, ...EXPIRIES].map(({ value, label }) => (
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
      {isMade && (
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
            Disabling ends access at once. Tokens from before stay dead when it is enabled again.
          </p>
        </div>
      )}
      <footer>
        {onDelete && (
          <button type="button" class="danger-quiet" onClick={onDelete}>
            Delete API Key
          </button>
        )}
        <span class="gap" />
        <button type="button" onClick={onCancel}>
          Cancel
        </button>
        <button type="submit" class="primary" disabled={isBusy}>
          {isBusy ? 'Saving…' : action}
        </button>
      </footer>
    </form>
  );
}

/** @returns RFC 3339, the end of the day for a date; null for never */
function expiryOf(choice: string, date: string): string | null {
  if (choice === 'never') return null;
  if (choice === 'date') return new Date(`${date}T23:59:59`).toISOString();
  return new Date(Date.now() + Number(choice) * DAY).toISOString();
}
