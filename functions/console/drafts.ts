const DRAFT = 'console.draft';

/**
 * Keeps a form's input when the session expires. The input survives the redirect to the issuer and is restored once.
 * The input consists only of form fields, and no form asks for a secret.
 */
export class Drafts {
  #open: { path: string; fields: object } | undefined;

  /** Records the fields of the form that is currently open. */
  note(path: string, fields: object | undefined): void {
    this.#open = fields && { path, fields };
  }

  /** Stores the draft before the browser goes to the issuer. */
  keep(): void {
    if (this.#open) sessionStorage.setItem(DRAFT, JSON.stringify(this.#open));
  }

  /** Returns the stored fields of the form at this path, if there are any. */
  take<T extends object>(path: string): T | undefined {
    const stored = sessionStorage.getItem(DRAFT);
    if (!stored) return undefined;
    sessionStorage.removeItem(DRAFT);
    const draft = JSON.parse(stored);
    return draft.path === path ? draft.fields : undefined;
  }
}
