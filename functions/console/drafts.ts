const DRAFT = 'console.draft';

/**
 * Keeps what people typed when their session expires. It survives the redirect to the issuer and is returned once. It
 * contains only form fields, and nobody types a secret into those.
 */
export class Drafts {
  #open: { path: string; fields: object } | undefined;

  /** Records the fields of the form that is open now. */
  note(path: string, fields: object | undefined): void {
    this.#open = fields && { path, fields };
  }

  /** Stores the draft before leaving for the issuer. */
  keep(): void {
    if (this.#open) sessionStorage.setItem(DRAFT, JSON.stringify(this.#open));
  }

  /** Returns the fields that were typed at this path, if they were stored. */
  take<T extends object>(path: string): T | undefined {
    const stored = sessionStorage.getItem(DRAFT);
    if (!stored) return undefined;
    sessionStorage.removeItem(DRAFT);
    const draft = JSON.parse(stored);
    return draft.path === path ? draft.fields : undefined;
  }
}
