import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Dialog, DialogFooter } from './dialog.tsx';
import { ConfirmField, Failure } from './parts.tsx';
import { useAction, useTools } from './state.ts';

interface ActionDialogProps {
  title: string;
  /** Label of the button that runs the action. */
  action: string;
  /** Label of the button while the action runs. */
  busy: string;
  isDanger?: boolean | undefined;
  /** Text that the person must type first, such as the name of what the action deletes. @default nothing */
  confirmation?: { label: ComponentChildren; text: string };
  /** Runs the action, and then closes the dialog. If the promise rejects, the dialog stays open and shows the error. */
  onAction: () => Promise<void>;
  onClose: () => void;
  children: ComponentChildren;
}

/** A dialog that describes an action and runs it when the person confirms it. */
export function ActionDialog({
  title,
  confirmation,
  onAction,
  onClose,
  children,
  ...button
}: ActionDialogProps) {
  const { isBusy, error, run } = useAction();
  const [typed, setTyped] = useState('');
  const isConfirmed = !confirmation || typed.trim() === confirmation.text.trim();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isConfirmed && !isBusy) run(onAction);
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        {children}
        {error !== undefined && <Failure error={error} />}
        {confirmation && <ConfirmField label={confirmation.label} value={typed} onInput={setTyped} />}
        <DialogFooter isBusy={isBusy} isDisabled={!isConfirmed} {...button} />
      </form>
    </Dialog>
  );
}

interface RevokeTokenProps extends Pick<ActionDialogProps, 'title' | 'onClose' | 'children'> {
  revoke: () => Promise<void>;
  /** Called after the token was revoked, before the dialog closes. */
  onRevoked: () => void;
}

/** A dialog that revokes one token when the person confirms it, and then says so. */
export function RevokeToken({ revoke, onRevoked, ...dialog }: RevokeTokenProps) {
  const { say } = useTools();
  const act = async () => {
    await revoke();
    onRevoked();
    say('Token revoked');
    dialog.onClose();
  };
  return <ActionDialog {...dialog} action="Revoke token" busy="Revoking…" isDanger onAction={act} />;
}
