/** Asks for confirmation before the page loses unsaved input; undefined if nothing would be lost. */
let askToLeave: (() => void) | undefined;
let guarded = '';

/**
 * Protects the input of the form at this URL. The back button and links then ask for confirmation, as does the browser
 * before it closes or reloads the page.
 */
export function guard(question: () => void): void {
  askToLeave = question;
  guarded = location.pathname + location.search;
}

/** Stops protecting the input, which was saved, discarded or stored. */
export function releaseGuard(): void {
  askToLeave = undefined;
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
