const DRAFT = 'console.draft';

/**
 * What somebody has typed when the sign-in ends: kept over the redirect and given back once. Only fields of
 * forms; no secret is ever typed here.
 */
export class Drafts {
  #open: { path: string; fields: object } | undefined;

  /** The form that is open now, as it stands. */
  note(path: string, fields: object | undefined): void {
    this.#open = fields && { path, fields };
  }

  /** Before leaving for the issuer. */
  keep(): void {
    if (this.#open) sessionStorage.setItem(DRAFT, JSON.stringify(this.#open));
  }

  /** @returns what was typed at this path, if that was kept */
  take<T extends object>(path: string): T | undefined {
    const stored = sessionStorage.getItem(DRAFT);
    if (!stored) return undefined;
    sessionStorage.removeItem(DRAFT);
    const draft = JSON.parse(stored);
    return draft.path === path ? draft.fields : undefined;
  }
}
