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
  /** Back to the list. */
  onClose: () => void;
  /** The list is to be read again. */
  onChange: () => void;
  /** The key is gone from the list. */
  onDeleted: (keyId: string) => void;
}

/** The dialog that the URL names, over the list of keys. */
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
    <Dialog title="Add API Key" onClose={onClose}>
      <KeyForm
        path={paths.addKey(deploymentId)}
        initial={emptyFields(config.scopes)}
        action="Add API Key"
        onSubmit={submit}
        onCancel={onClose}
      />
    </Dialog>
  );
}

/** The one time that the secret is seen: of a new key, or of one that was rotated. */
function Secret({ deploymentId, keyId, onClose }: KeyDialogProps & { keyId: string }) {
  const { made, setMade } = useTools();
  const { route } = useLocation();
  // Whichever way this view is left, the secret goes with it. A layout effect is in force when the secret is in the
  // page; what comes after the paint would miss somebody who goes back at once.
  useLayoutEffect(() => () => setMade(undefined), []);
  const key = made?.id === keyId ? made : undefined;
  if (!key?.secret) {
    return (
      <Dialog title="The secret is not shown again" onClose={onClose}>
        <p>A secret is shown once, when it is made. If it is lost, rotate the key: that makes another one.</p>
        <LabelledValue label="ID" text={keyId} />
        <footer>
          <button type="button" onClick={() => route(paths.key(deploymentId, keyId, 'rotate'), true)}>
            Rotate
          </button>
          <button type="button" class="primary" onClick={onClose}>
            Back to API Keys
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
          <strong>This is the only time that the secret is shown.</strong> Copy it now to where your pipeline
          keeps its secrets.
        </p>
      </Notice>
      {isRotated && <OldSecret apiKey={key} />}
      <LabelledValue label="ID" text={keyId} />
      <LabelledValue label="Secret" text={key.secret} />
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

/** What becomes of the secret from before. */
function OldSecret({ apiKey: { credentials } }: { apiKey: NewKey }) {
  const [old, fresh] = credentials;
  if (!fresh || !old?.retiresAt) return <p>The old secret is refused from now on.</p>;
  return (
    <p>
      The old secret is refused {old.retiresOnFirstUse && 'once this one is used, or '}
      <Time of={old.retiresAt} />
      {old.retiresOnFirstUse && ' at the latest'}.
    </p>
  );
}

type OneKeyProps = KeyDialogProps & { keyId: string; name: Exclude<OneKeyDialog, 'secret'> };

const ONE_KEY = { edit: EditKey, delete: DeleteKey, rotate: Rotate, leaked: ItLeaked, ci: CiStep };

/** A dialog about a key as it is now. */
function OneKey({ keyId, name, ...props }: OneKeyProps) {
  const { deploymentId, onClose } = props;
  const { api } = useTools();
  const { data: key, error, reload } = useLoad(keyId, () => api.key(deploymentId, keyId));
  const Content = ONE_KEY[name];
  if (key) return <Content {...props} apiKey={key} />;
  return (
    <Dialog title="API Key" onClose={onClose}>
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
    <Dialog title="Edit API Key" onClose={onClose}>
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

/** The step for the CI of a key without a secret: it holds none, so it can be seen at any time. */
function CiStep({ apiKey: { id, name, trust = [] }, onClose }: KeyDialogProps & { apiKey: ApiKey }) {
  const steps = new Map(
    trust.map(({ issuer, audience = location.origin }) => [`${issuer} ${audience}`, { issuer, audience }]),
  );
  return (
    <Dialog title={`${name} in your CI`} isWide onClose={onClose}>
      <p>There is no secret to store. The CI proves itself by a token of its own, which this step swaps.</p>
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
