import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { MAX_GROUPS, NAME } from '../domain/allowed-characters.ts';
import { ActionDialog } from './action-dialog.tsx';
import { ApiError } from './api.ts';
import { Dialog, DialogFooter } from './dialog.tsx';
import { faultOf } from './key-fields.ts';
import { Failure, Field, Notice, VERBATIM } from './parts.tsx';
import { DEPLOYMENT_ID, DEPLOYMENT_ID_RULE, paths } from './paths.ts';
import type { Deployment } from './resources.ts';
import { useAction, useTools } from './state.ts';
import { counted } from './words.ts';

/** Dialog that registers a Deployment. */
export function RegisterDeployment({ onClose }: { onClose: () => void }) {
  const { api, cache, say, setChanged } = useTools();
  const { route } = useLocation();
  const { isBusy, error, run } = useAction();
  const [fields, setFields] = useState({ id: '', name: '', groups: '' });
  const [taken, setTaken] = useState<string>();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const { id, name, groups } = fields;
    run(async () => {
      // Without this check, the API call would overwrite an existing Deployment.
      if (await exists(() => api.deployment(id))) return setTaken(id);
      await api.putDeployment(id, { ...(name.trim() && { name: name.trim() }), groups: linesOf(groups) });
      cache.delete('deployments');
      setChanged(id);
      say(`Deployment “${name.trim() || id}” registered`);
      route(paths.keys(id), true);
    });
  };
  const faults = error instanceof ApiError ? error.fields : [];
  const isTaken = taken !== undefined && taken === fields.id;
  const isDirty = Object.values(fields).some((text) => text !== '');
  return (
    <Dialog title="Register Deployment" isDirty={isDirty && !isBusy} onClose={onClose}>
      <form onSubmit={submit}>
        {error !== undefined && faults.length === 0 && <Failure error={error} />}
        <Field
          label="ID"
          hint="Up to 64 letters, digits, hyphens and underscores. It is part of every key and can’t be changed."
          error={isTaken ? 'is already registered' : faultOf(faults, 'deploymentId')}
        >
          {(attributes) => (
            <input
              {...attributes}
              class="mono"
              required
              maxLength={64}
              pattern={DEPLOYMENT_ID}
              title={DEPLOYMENT_ID_RULE}
              {...VERBATIM}
              placeholder="etl-production"
              value={fields.id}
              onInput={(event) => setFields({ ...fields, id: event.currentTarget.value })}
              autoFocus
            />
          )}
        </Field>
        <NameAndGroups
          fields={fields}
          faults={faults}
          placeholder={fields.id}
          onChange={(to) => setFields({ ...fields, ...to })}
        />
        <DialogFooter isBusy={isBusy} busy="Registering…" action="Register Deployment" />
      </form>
    </Dialog>
  );
}

interface DeploymentDialogProps {
  deployment: Deployment;
  onClose: () => void;
}

/** Dialog that changes the name and groups of a Deployment. */
export function DeploymentSettings({
  deployment,
  onClose,
  onChange,
}: DeploymentDialogProps & { onChange: (changed: Deployment) => void }) {
  const { api, cache, say } = useTools();
  const { isBusy, error, run } = useAction();
  const before = { name: deployment.name, groups: deployment.groups.join('\n') };
  const [fields, setFields] = useState(before);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    run(async () => {
      const changed = await api.putDeployment(deployment.id, {
        ...(fields.name !== before.name && { name: fields.name.trim() }),
        ...(fields.groups !== before.groups && { groups: linesOf(fields.groups) }),
      });
      cache.delete('deployments');
      onChange(changed);
      say('Settings saved');
      onClose();
    });
  };
  const faults = error instanceof ApiError ? error.fields : [];
  const isDirty = fields.name !== before.name || fields.groups !== before.groups;
  return (
    <Dialog title="Deployment settings" isDirty={isDirty && !isBusy} onClose={onClose}>
      <form onSubmit={submit}>
        {error !== undefined && faults.length === 0 && <Failure error={error} />}
        <NameAndGroups
          fields={fields}
          faults={faults}
          isRequired
          onChange={(to) => setFields({ ...fields, ...to })}
        />
        <section class="danger-zone">
          <div>
            <h3>Delete this Deployment</h3>
            <p class="hint">Deletes all its API keys and tokens permanently.</p>
          </div>
          <a class="button danger-quiet" href={paths.deleteDeployment(deployment.id)}>
            Delete Deployment
          </a>
        </section>
        <DialogFooter isBusy={isBusy} busy="Saving…" action="Save" isDisabled={!isDirty} />
      </form>
    </Dialog>
  );
}

/** Dialog that deletes a Deployment after the person has typed its ID. */
export function DeleteDeployment({
  deployment: { id, name },
  keyCount,
  onClose,
}: DeploymentDialogProps & { keyCount: number | undefined }) {
  const { api, cache, say } = useTools();
  const { route } = useLocation();
  const remove = async () => {
    await api.deleteDeployment(id);
    cache.clear();
    say(`Deployment “${name}” deleted`);
    route(paths.deployments(), true);
  };
  const label = (
    <>
      Type <code>{id}</code> to delete the Deployment
    </>
  );
  return (
    <ActionDialog
      title="Delete Deployment"
      action="Delete Deployment"
      busy="Deleting…"
      isDanger
      confirmation={{ label, text: id }}
      onAction={remove}
      onClose={onClose}
    >
      <Notice kind="error">
        <p>
          {keyCount ? `${counted(keyCount, 'API key')} and all` : 'All API keys and'} tokens of{' '}
          <strong class="name">{name}</strong> stop working immediately and are deleted permanently. This
          can’t be undone.
        </p>
      </Notice>
    </ActionDialog>
  );
}

interface NameAndGroupsProps {
  fields: { name: string; groups: string };
  faults: ApiError['fields'];
  placeholder?: string;
  isRequired?: boolean;
  onChange: (changes: Partial<NameAndGroupsProps['fields']>) => void;
}

function NameAndGroups({
  fields,
  faults,
  placeholder = '',
  isRequired = false,
  onChange,
}: NameAndGroupsProps) {
  const { config, person } = useTools();
  return (
    <>
      <Field
        label="Name"
        hint={isRequired ? undefined : 'Optional. Without a name, the ID is shown.'}
        error={faultOf(faults, 'name')}
      >
        {(attributes) => (
          <input
            {...attributes}
            required={isRequired}
            maxLength={NAME[1]}
            autoComplete="off"
            dir="auto"
            placeholder={placeholder}
            value={fields.name}
            onInput={(event) => onChange({ name: event.currentTarget.value })}
            autoFocus={isRequired}
          />
        )}
      </Field>
      <Field
        label="Groups"
        hint={
          `One group per line, up to ${MAX_GROUPS}. Their members can manage the keys of this Deployment. Use the names in the claim ` +
          `${config.people.groupsClaim} of your issuer${exampleOf(person.groups, config.people.adminGroup)}.`
        }
        error={faultOf(faults, 'groups', 'line')}
      >
        {(attributes) => (
          <textarea
            {...attributes}
            rows={3}
            spellcheck={false}
            value={fields.groups}
            onInput={(event) => onChange({ groups: event.currentTarget.value })}
          />
        )}
      </Field>
    </>
  );
}

/** Names one of the person's own groups as an example, except the group of the administrators. */
function exampleOf(groups: readonly string[], adminGroup: string | undefined): string {
  const group = groups.find((one) => one !== adminGroup);
  return group === undefined ? '' : `, such as ${group}`;
}

/** Splits text into lines, trims each line, and omits empty and repeated lines. */
const linesOf = (text: string): string[] => [
  ...new Set(text.split('\n').flatMap((line) => (line.trim() === '' ? [] : line.trim()))),
];

/** Reports whether the requested resource exists. @throws ApiError for any error except 404 */
async function exists(find: () => Promise<unknown>): Promise<boolean> {
  try {
    await find();
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return false;
    throw error;
  }
}
