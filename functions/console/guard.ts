/** Asks for confirmation before the page loses unsaved input; undefined if nothing would be lost. */
let askToLeave: (() => void) | undefined;
let guarded = '';
/** Whether a sign-in would lose what the dialog holds. */
let isLostBySignIn = false;
let onRelease: (() => void) | undefined;

/**
 * Protects what a dialog at this URL holds: the input of a form, or a secret. The back button and links then ask for
 * confirmation, as does the browser before it closes or reloads the page.
 * @param isKept whether the person finds it again after another sign-in, as with the input of a form
 */
export function guard(question: () => void, isKept: boolean): void {
  askToLeave = question;
  guarded = location.pathname + location.search;
  isLostBySignIn = !isKept;
}

/** Stops the protection, because the content of the dialog was saved, discarded or stored. */
export function releaseGuard(): void {
  askToLeave = undefined;
  isLostBySignIn = false;
  onRelease?.();
}

/** Reports whether the page shows something that another sign-in would lose, such as a secret. */
export const wouldSignInLose = (): boolean => isLostBySignIn;

/** Calls a function whenever the protection ends. @returns a function that stops this */
export function whenReleased(listener: () => void): () => void {
  onRelease = listener;
  return () => {
    onRelease = undefined;
  };
}

/**
 * Starts listening for navigation. Call it before the router starts to listen, so that the router does not receive
 * events that the guard stops.
 */
export function listenForLoss(): void {
  addEventListener('popstate', (event) => {
    if (!askToLeave) return;
    event.stopImmediatePropagation();
    // The browser has already left the form's URL. Push a history entry that returns to the form, regardless of which
    // URL the browser is on now.
    history.pushState(null, '', guarded);
    askToLeave();
  });
  addEventListener('beforeunload', (event) => {
    if (askToLeave) event.preventDefault();
  });
}
