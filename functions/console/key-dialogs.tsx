import { useLayoutEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { issuerLabel } from './issuers.ts';
import { changesOf, emptyFields, fieldsOf, inputOf, type KeyFields } from './key-fields.ts';
import { KeyForm } from './key-form.tsx';
import { Code, Dialog, Failure, Field, LabelledValue, Notice, Skeleton, Tabs, Time } from './parts.tsx';
import { type KeyDialog, type OneKeyDialog, paths } from './paths.ts';
import type { ApiKey, NewKey } from './resources.ts';
import { ItLeaked, Rotate } from './rotation-dialogs.tsx';
import { SNIPPETS, trustSnippet } from './snippets.ts';
import { useAction, useLoad, useTools } from './state.ts';

export interface KeyDialogProps {
  deploymentId: string;
  /** Returns to the list. */
  onClose: () => void;
  /** Reloads the list. */
  onChange: () => void;
  /** Removes the key from the list. */
  onDeleted: (keyId: string) => void;
}

/** The dialog that the URL names, on top of the list of keys. */
export function KeyDialogs({ dialog, ...props }: KeyDialogProps & { dialog: KeyDialog }) {
  if (dialog.name === 'add') return <AddKey {...props} />;
  if (dialog.name === 'secret') return <Secret key={dialog.keyId} {...props} keyId={dialog.keyId} />;
  return <OneKey key={dialog.keyId} {...props} keyId={dialog.keyId} name={dialog.name} />;
}

function AddKey({ deploymentId, onClose, onChange }: KeyDialogProps) {
  const { api, config, setMade } = useTools();
  const { route } = useLocation();
  const submit = async (fields: KeyFields, attempt: string) => {
    const key = await api.addKey(deploymentId, inputOf(fields, Date.now()), attempt);
    setMade(key);
    onChange();
    route(paths.key(deploymentId, key.id, key.trust ? 'ci' : 'secret'), true);
  };
  return (
    <Dialog title="Create API key" onClose={onClose}>
      <KeyForm
        path={paths.addKey(deploymentId)}
        initial={emptyFields(config.scopes)}
        action="Create API key"
        onSubmit={submit}
        onCancel={onClose}
      />
    </Dialog>
  );
}

/** Shows the secret of a new or rotated key, which is possible only once. */
function Secret({ deploymentId, keyId, onClose }: KeyDialogProps & { keyId: string }) {
  const { made, setMade } = useTools();
  const { route } = useLocation();
  // Leaving this view in any way drops the secret. A layout effect runs before the secret is painted; a normal effect
  // would be too late if someone goes back at once.
  useLayoutEffect(() => () => setMade(undefined), []);
  const key = made?.id === keyId ? made : undefined;
  if (!key?.secret) {
    return (
      <Dialog title="The secret is not shown again" onClose={onClose}>
        <p>
          A secret is shown only once, when it is created. If you lost it, rotate the key to get a new one.
        </p>
        <LabelledValue label="ID" text={keyId} />
        <footer>
          <button type="button" onClick={() => route(paths.key(deploymentId, keyId, 'rotate'), true)}>
            Rotate key
          </button>
          <button type="button" class="primary" onClick={onClose}>
            Back to API keys
          </button>
        </footer>
      </Dialog>
    );
  }
  const isRotated = key.credentials.at(-1)?.createdAt !== key.createdAt;
  return (
    <Dialog
      title={isRotated ? `${key.name} has a new secret` : `${key.name} is ready`}
      isWide
      isDismissible={false}
      onClose={onClose}
    >
      <Notice kind="warning">
        <p>
          <strong>This is the only time that the secret is shown.</strong> Copy it now and store it where your
          pipeline keeps its secrets.
        </p>
      </Notice>
      {isRotated && <OldSecret apiKey={key} />}
      <LabelledValue label="ID" text={keyId} />
      <LabelledValue label="Secret" text={key.secret} />
      <h3>Use the secret</h3>
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

/** Says when the previous secret retires. */
function OldSecret({ apiKey: { credentials } }: { apiKey: NewKey }) {
  const [old, fresh] = credentials;
  if (!fresh || !old?.retiresAt) return <p>The old secret no longer works.</p>;
  return (
    <p>
      The old secret retires {old.retiresOnFirstUse && 'when this one is used, or '}
      <Time of={old.retiresAt} />
      {old.retiresOnFirstUse && ' at the latest'}.
    </p>
  );
}

type OneKeyProps = KeyDialogProps & { keyId: string; name: Exclude<OneKeyDialog, 'secret'> };

const ONE_KEY = { edit: EditKey, delete: DeleteKey, rotate: Rotate, leaked: ItLeaked, ci: CiStep };

/** A dialog for an existing key, which it loads. */
function OneKey({ keyId, name, ...props }: OneKeyProps) {
  const { deploymentId, onClose } = props;
  const { api } = useTools();
  const { data: key, error, reload } = useLoad(keyId, () => api.key(deploymentId, keyId));
  const Content = ONE_KEY[name];
  if (key) return <Content {...props} apiKey={key} />;
  return (
    <Dialog title="API key" onClose={onClose}>
      {error ? <Failure error={error} retry={reload} /> : <Skeleton rows={3} label="Loading the key" />}
    </Dialog>
  );
}

function EditKey({ deploymentId, apiKey, onClose, onChange }: KeyDialogProps & { apiKey: ApiKey }) {
  const { api } = useTools();
  const { route } = useLocation();
  const submit = async (fields: KeyFields) => {
    await api.editKey(deploymentId, apiKey.id, changesOf(apiKey, fields, Date.now()));
    onChange();
    onClose();
  };
  return (
    <Dialog title="Edit API key" onClose={onClose}>
      <KeyForm
        path={paths.key(deploymentId, apiKey.id, 'edit')}
        initial={fieldsOf(apiKey)}
        expiresAt={apiKey.expiresAt}
        isMade
        isLeaked={apiKey.status === 'leaked'}
        action="Save"
        onSubmit={submit}
        onCancel={onClose}
        onDelete={() => route(paths.key(deploymentId, apiKey.id, 'delete'), true)}
      />
    </Dialog>
  );
}

function DeleteKey({ deploymentId, apiKey, onClose, onDeleted }: KeyDialogProps & { apiKey: ApiKey }) {
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
    <Dialog title="Delete API key" onClose={onClose}>
      <form onSubmit={submit}>
        <p>
          Anything using <strong class="name">{apiKey.name}</strong> loses access immediately, and all its
          tokens are revoked. This can’t be undone.
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
            {isBusy ? 'Deleting…' : 'Delete API key'}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

/** The CI setup of a key without a secret. It contains no secret, so people can open it at any time. */
function CiStep({ apiKey: { id, name, trust = [] }, onClose }: KeyDialogProps & { apiKey: ApiKey }) {
  const steps = new Map(
    trust.map(({ issuer, audience = location.origin }) => [`${issuer} ${audience}`, { issuer, audience }]),
  );
  return (
    <Dialog title={`Set up your CI for ${name}`} isWide onClose={onClose}>
      <p>There is no secret to store. This step exchanges an OIDC token of your CI for an access token.</p>
      <LabelledValue label="ID" text={id} />
      <Tabs
        label="Where to use it"
        tabs={[...steps].map(([step, { issuer, audience }]) => {
          const { hint, code } = trustSnippet({ keyId: id, service: location.origin, issuer, audience });
          const label = issuerLabel(issuer);
          return {
            id: step,
            label: audience === location.origin ? label : `${label}, ${audience}`,
            body: (
              <>
                <p class="hint">{hint}</p>
                <Code text={code} what={`${label} step`} />
              </>
            ),
          };
        })}
      />
      <footer>
        <button type="button" class="primary" onClick={onClose}>
          Done
        </button>
      </footer>
    </Dialog>
  );
}
