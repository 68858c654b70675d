export const handler = async (_event: unknown): Promise<unknown> => {
  throw new Error('not written yet');
};
