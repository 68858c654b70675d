import { useState } from 'preact/hooks';
import { ApiError } from './api.ts';
import { CancelButton, Dialog } from './dialog.tsx';
import { useKeyChanges } from './key-actions.tsx';
import { ConfirmField, Notice, Time } from './parts.tsx';
import type { ApiKey } from './resources.ts';
import { useTools } from './state.ts';
import { counted } from './words.ts';

export interface BulkAction {
  action: 'disable' | 'enable' | 'delete';
  keys: readonly ApiKey[];
}

const WORDS = {
  disable: { verb: 'Disable', busy: 'Disabling', done: 'disabled' },
  enable: { verb: 'Enable', busy: 'Enabling', done: 'enabled' },
  delete: { verb: 'Delete', busy: 'Deleting', done: 'deleted' },
};

/** Maximum number of keys to change at the same time. */
const CONCURRENCY = 3;
/** Maximum number of keys that the dialog lists. */
const LISTED = 8;

interface Props {
  deploymentId: string;
  bulk: BulkAction;
  onClose: () => void;
  /** Called after all keys were changed. */
  onDone: () => void;
}

interface Failed {
  key: ApiKey;
  message: string;
}

/**
 * Disables, enables or deletes several keys. If changing one key fails, the other keys are still changed, and the
 * person can retry the failed change.
 */
export function BulkDialog({ deploymentId, bulk: { action, keys }, onClose, onDone }: Props) {
  const { say, setChanged } = useTools();
  const change = useChange(deploymentId, action);
  const [left, setLeft] = useState(() => keys.filter((key) => isPossible(action, key)));
  const [failed, setFailed] = useState<readonly Failed[]>([]);
  const [progress, setProgress] = useState<number>();
  const [typed, setTyped] = useState('');
  const { verb, busy, done } = WORDS[action];
  const skipped = keys.length - keys.filter((key) => isPossible(action, key)).length;
  const isBusy = progress !== undefined;
  const isConfirmed = action !== 'delete' || typed.trim() === deploymentId;
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy || !isConfirmed) return;
    setProgress(0);
    setFailed([]);
    const result = await changeAll(left, change, setProgress);
    setProgress(undefined);
    setChanged(undefined);
    setFailed(result);
    setLeft(result.map(({ key }) => key));
    if (result.length > 0) return;
    say(`${countOf(left.length)} ${done}`);
    onDone();
    onClose();
  };
  return (
    <Dialog title={`${verb} ${countOf(left.length)}`} isDismissible={!isBusy} onClose={onClose}>
      <form onSubmit={submit}>
        {action !== 'enable' && left.length > 0 && (
          <Notice kind="warning">
            <p>
              Anything using {left.length === 1 ? 'this key' : 'these keys'} loses access immediately, and
              their tokens are revoked.{' '}
              {action === 'delete'
                ? 'This can’t be undone.'
                : 'They stay revoked even if you re-enable a key.'}
            </p>
          </Notice>
        )}
        {skipped > 0 && (
          <p class="hint">
            {action === 'enable'
              ? `${countOf(skipped)} can’t be enabled here: active, expired, malformed or leaked ones are left out.`
              : `${countOf(skipped)} already disabled.`}
          </p>
        )}
        <ul class="plain-list keys-listed">
          {left.slice(0, LISTED).map((key) => (
            <li key={key.id}>
              <bdi>{key.name}</bdi> <code>{key.id.slice(-10)}</code>{' '}
              <span class="quiet">
                {key.lastUsedAt ? (
                  <>
                    last used <Time of={key.lastUsedAt} />
                  </>
                ) : (
                  'never used'
                )}
              </span>
            </li>
          ))}
          {left.length > LISTED && (
            <li class="quiet">and {(left.length - LISTED).toLocaleString('en')} more</li>
          )}
        </ul>
        {failed.length > 0 && (
          <Notice kind="error">
            <p>
              {countOf(failed.length)} could not be {done}:{' '}
              {[...new Set(failed.map(({ message }) => message))].join(' ')}
            </p>
          </Notice>
        )}
        {action === 'delete' && (
          <ConfirmField
            label={
              <>
                Type <code>{deploymentId}</code> to delete them
              </>
            }
            value={typed}
            onInput={setTyped}
          />
        )}
        <footer>
          {!isBusy && <CancelButton />}
          <button
            type="submit"
            class={action === 'enable' ? 'primary' : 'danger'}
            disabled={isBusy || !isConfirmed || left.length === 0}
          >
            {isBusy
              ? `${busy} ${progress} of ${left.length}…`
              : `${failed.length > 0 ? 'Try again: ' : ''}${verb} ${countOf(left.length)}`}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

const countOf = (count: number) => counted(count, 'API key');

function isPossible(action: BulkAction['action'], { status, enabled, malformed }: ApiKey): boolean {
  if (action === 'delete') return true;
  if (action === 'disable') return enabled;
  return !malformed && (status === 'disabled' || status === 'idle');
}

/** Returns a function that changes one key and shows the change in the table. */
function useChange(deploymentId: string, action: BulkAction['action']) {
  const { api } = useTools();
  const { onChanged, onDeleted } = useKeyChanges(deploymentId);
  return async ({ id }: ApiKey): Promise<void> => {
    if (action === 'delete') {
      await api.deleteKey(deploymentId, id).catch(ignoreAbsent);
      onDeleted([id]);
    } else {
      onChanged(await api.editKey(deploymentId, id, { enabled: action === 'enable' }));
    }
  };
}

/** Counts a key that someone else has already deleted as a success. */
function ignoreAbsent(error: unknown): void {
  if (!(error instanceof ApiError && error.status === 404)) throw error;
}

/** Changes several keys concurrently. @returns the keys whose change failed */
async function changeAll(
  keys: readonly ApiKey[],
  change: (key: ApiKey) => Promise<void>,
  onProgress: (done: number) => void,
): Promise<Failed[]> {
  const failed: Failed[] = [];
  const waiting = [...keys];
  let done = 0;
  const worker = async () => {
    for (let key = waiting.shift(); key; key = waiting.shift()) {
      try {
        await change(key);
      } catch (error) {
        const message = error instanceof ApiError ? error.message : 'Something went wrong.';
        failed.push({ key, message });
      }
      onProgress(++done);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return failed;
}
