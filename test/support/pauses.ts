/** The pauses of the code under test, in milliseconds. They end immediately. */
export const pauses: number[] = [];

/** Replaces the function of `node:timers/promises`, in a test file in which `vi.mock` replaces that module with this one. */
export async function setTimeout(milliseconds: number): Promise<void> {
  pauses.push(milliseconds);
}
