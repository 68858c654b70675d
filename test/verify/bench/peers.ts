import { DatabaseSync } from 'node:sqlite';

/** Better-auth with its api-key plugin, on SQLite in this process. */
export async function betterAuth() {
  const { betterAuth: make } = await import('better-auth');
  const { apiKey } = await import('@better-auth/api-key');
  const { getMigrations } = await import('better-auth/db/migration');
  const auth = make({
    database: new DatabaseSync(':memory:'),
    secret: 'a secret of at least thirty-two characters',
    baseURL: 'http://127.0.0.1',
    logger: { disabled: true },
    telemetry: { enabled: false },
    emailAndPassword: { enabled: true },
    // The default limit is ten verifications of a key per day.
    plugins: [apiKey({ rateLimit: { enabled: false } })],
  });
  await (await getMigrations(auth.options)).runMigrations();
  const { user } = await auth.api.signUpEmail({
    body: { email: 'a@example.com', password: 'password', name: 'a' },
  });
  const create = () => auth.api.createApiKey({ body: { userId: user.id, name: 'ci' } });
  return { auth, create };
}
