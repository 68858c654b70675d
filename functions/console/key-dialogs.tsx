import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { RevokeAllTokens } from './access-tokens.tsx';
import { ActionDialog } from './action-dialog.tsx';
import type { Config } from './config.ts';
import { CancelButton, Dialog, DoneFooter, type LossQuestion } from './dialog.tsx';
import { ExplainToken } from './explain-dialog.tsx';
import { issuerLabel, issuerOf, newRule } from './issuers.ts';
import { type KeyDialogProps, KeyFacts, type OneKeyDialogProps } from './key-actions.tsx';
import { changesOf, emptyFields, fieldsOf, inputOf, type KeyFields } from './key-fields.ts';
import { type Attempt, KeyForm } from './key-form.tsx';
import { Code, Failure, LabelledValue, Notice, Skeleton, Tabs, Time } from './parts.tsx';
import { type KeyDialog, type OneKeyDialog, paths } from './paths.ts';
import type { NewKey } from './resources.ts';
import { ReportLeak, Rotate } from './rotation-dialogs.tsx';
import { SNIPPETS, trustStep } from './snippets.ts';
import { useLoad, useTools } from './state.ts';

/** Shows the dialog that the URL names, on top of the table or the key's page. */
export function KeyDialogs({ dialog, ...props }: KeyDialogProps & { dialog: KeyDialog }) {
  if (dialog.name === 'add') return <AddKey {...props} />;
  if (dialog.name === 'secret') return <Secret key={dialog.keyId} {...props} keyId={dialog.keyId} />;
  return <OneKey key={`${dialog.keyId} ${dialog.name}`} {...props} keyId={dialog.keyId} name={dialog.name} />;
}

function AddKey({ deploymentId, table, onClose, changes }: KeyDialogProps) {
  const { api, config, setMade } = useTools();
  const { route } = useLocation();
  const [initial] = useState(() => newFields(config));
  const [isDirty, setDirty] = useState(false);
  const submit = async (fields: KeyFields, attempt: Attempt) => {
    const key = await api.addKey(deploymentId, inputOf(fields, attempt.at), attempt.id);
    const { secret: _, ...shown } = key;
    changes.onChanged(shown);
    setMade(key);
    setDirty(false);
    route(paths.keyDialog(deploymentId, key.id, key.trust ? 'ci' : 'secret', table), true);
  };
  return (
    <Dialog title="Create API key" isDirty={isDirty} onClose={onClose}>
      <KeyForm path={paths.addKey(deploymentId)} initial={initial} onDirty={setDirty} onSubmit={submit} />
    </Dialog>
  );
}

/** Returns the form fields of a new key. If the stack forbids secrets, the key starts with a trust rule. */
function newFields({ policy, trustedIssuers: [issuer] }: Config): KeyFields {
  const fields = emptyFields(policy.maxKeyDays);
  return policy.keysWithSecrets === false && issuer !== undefined
    ? { ...fields, rules: [newRule(issuer)] }
    : fields;
}

const UNSAVED_SECRET: LossQuestion = {
  title: 'Have you saved the secret?',
  words:
    'The secret will not be shown again. If you leave without it, you have to rotate it to get a new one.',
  keep: 'Show the secret',
  leave: 'Leave',
};

/** Shows the secret of a new or rotated key. This is possible only once, so leaving it asks for confirmation. */
function Secret({ deploymentId, table, keyId, onClose }: KeyDialogProps & { keyId: string }) {
  const { made, setMade } = useTools();
  const { route } = useLocation();
  // Discards the secret when the person leaves this view in any way. A layout effect registers this before the browser
  // paints the secret; a normal effect would be too late if the person goes back immediately.
  useLayoutEffect(() => () => setMade(undefined), []);
  const key = made?.id === keyId ? made : undefined;
  if (!key?.secret) {
    return (
      <Dialog title="The secret is not shown again" onClose={onClose}>
        <p>
          A secret is shown only once, when it is created. If you lost it, rotate the secret to get a new one.
        </p>
        <LabelledValue label="ID" text={keyId} />
        <footer>
          <button
            type="button"
            onClick={() => route(paths.keyDialog(deploymentId, keyId, 'rotate', table), true)}
          >
            Rotate secret
          </button>
          <button type="button" class="primary" onClick={onClose}>
            Close
          </button>
        </footer>
      </Dialog>
    );
  }
  const isRotated = key.credentials.at(-1)?.createdAt !== key.createdAt;
  return (
    <Dialog
      title={isRotated ? `New secret of ${key.name}` : `${key.name} is ready`}
      isWide
      isDismissible={false}
      isDirty
      question={UNSAVED_SECRET}
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
      <h3>Use it in your pipeline</h3>
      <Tabs
        label="Where to use it"
        tabs={SNIPPETS.map(({ id, label, store, short, hardened }) => ({
          id,
          label,
          body: (
            <>
              <p class="hint">{store}</p>
              <Steps
                label={label}
                short={short({ keyId, service: location.origin })}
                hardened={hardened({ keyId, service: location.origin })}
              />
            </>
          ),
        }))}
      />
      <DoneFooter label="I have saved the secret" onClose={onClose} />
    </Dialog>
  );
}

/** Shows a short snippet, with the hardened script in a section that people can expand. */
function Steps({ label, short, hardened }: { label: string; short: string; hardened: string }) {
  return (
    <>
      <Code text={short} what={`${label} snippet`} />
      <details>
        <summary>
          Hardened shell script: retries, one new token after a 401, no arguments with secrets
        </summary>
        <Code text={hardened} what={`hardened ${label} script`} />
      </details>
    </>
  );
}

/** Text that says when the previous secret stops working. */
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

const ONE_KEY = {
  edit: EditKey,
  delete: DeleteKey,
  disable: DisableKey,
  rotate: Rotate,
  leaked: ReportLeak,
  ci: CiStep,
  explain: ExplainToken,
  'revoke-tokens': RevokeAllTokens,
};

/** A dialog that loads an existing key. */
function OneKey({ keyId, name, ...props }: OneKeyProps) {
  const { deploymentId, onClose } = props;
  const { api } = useTools();
  const { data: key, error, reload } = useLoad(`key ${keyId}`, () => api.key(deploymentId, keyId));
  // A deleted key is removed from the cache while its dialog is still closing.
  const last = useRef(key);
  last.current = key ?? last.current;
  const Content = ONE_KEY[name];
  if (last.current) return <Content {...props} apiKey={last.current} />;
  return (
    <Dialog title="API key" onClose={onClose}>
      {error ? <Failure error={error} retry={reload} /> : <Skeleton rows={3} label="Loading the key" />}
      <footer>
        <CancelButton>Close</CancelButton>
      </footer>
    </Dialog>
  );
}

function EditKey({ deploymentId, apiKey, onClose, changes }: OneKeyDialogProps) {
  const { api, say } = useTools();
  // The form shows the key as it was when the dialog opened, so only the person's own edits count as changes.
  const [before] = useState(apiKey);
  const [isDirty, setDirty] = useState(false);
  const submit = async (fields: KeyFields) => {
    changes.onChanged(await api.editKey(deploymentId, before.id, changesOf(before, fields, Date.now())));
    say('Changes saved');
    onClose();
  };
  return (
    <Dialog title="Edit API key" isDirty={isDirty} onClose={onClose}>
      <KeyForm
        path={paths.keyDialog(deploymentId, before.id, 'edit')}
        initial={fieldsOf(before)}
        apiKey={before}
        onDirty={setDirty}
        onSubmit={submit}
      />
    </Dialog>
  );
}

function DeleteKey({ deploymentId, apiKey, onClose, onGone = onClose, changes }: OneKeyDialogProps) {
  const { api, say } = useTools();
  const remove = async () => {
    await api.deleteKey(deploymentId, apiKey.id);
    onGone();
    changes.onDeleted([apiKey.id]);
    say(`API key “${apiKey.name}” deleted`);
  };
  return (
    <ActionDialog
      title="Delete API key"
      action="Delete API key"
      busy="Deleting…"
      isDanger
      confirmation={{ label: 'Type the key’s name to delete it', text: apiKey.name }}
      onAction={remove}
      onClose={onClose}
    >
      <p>
        Anything using this key loses access immediately, and all its tokens are revoked. This can’t be
        undone.
      </p>
      <KeyFacts apiKey={apiKey} />
    </ActionDialog>
  );
}

function DisableKey({ deploymentId, apiKey, onClose, changes }: OneKeyDialogProps) {
  const { api, say } = useTools();
  const disable = async () => {
    changes.onChanged(await api.editKey(deploymentId, apiKey.id, { enabled: false }));
    say(`API key “${apiKey.name}” disabled`);
    onClose();
  };
  return (
    <ActionDialog
      title="Disable API key"
      action="Disable API key"
      busy="Disabling…"
      isDanger
      onAction={disable}
      onClose={onClose}
    >
      <p>
        Anything using this key loses access immediately. Its tokens are revoked, and stay revoked even if you
        re-enable the key.
      </p>
      <KeyFacts apiKey={apiKey} />
    </ActionDialog>
  );
}

/** Shows the CI setup for a key without a secret. The setup contains no secret, so people can open it at any time. */
function CiStep({ apiKey: { id, name, trust = [] }, onClose }: OneKeyDialogProps) {
  const { config } = useTools();
  const steps = new Map(
    trust.map((rule) => {
      const issuer = issuerOf(config.trustedIssuers, rule.issuer);
      const audience = rule.audience ?? issuer.audience ?? location.origin;
      return [`${issuer.issuer} ${audience}`, { issuer, audience }];
    }),
  );
  return (
    <Dialog title={`Set up your CI for ${name}`} isWide onClose={onClose}>
      <p>There is no secret to store. This step exchanges an OIDC token of your CI for an access token.</p>
      <LabelledValue label="ID" text={id} />
      <Tabs
        label="Where to use it"
        tabs={[...steps].map(([step, { issuer, audience }]) => {
          const { hint, short, hardened } = trustStep({
            keyId: id,
            service: location.origin,
            issuer,
            audience,
          });
          const label = issuerLabel(issuer);
          return {
            id: step,
            label: audience === location.origin ? label : `${label}, ${audience}`,
            body: (
              <>
                <p class="hint">{hint}</p>
                <Steps label={label} short={short} hardened={hardened} />
              </>
            ),
          };
        })}
      />
      <DoneFooter label="Done" onClose={onClose} />
    </Dialog>
  );
}
