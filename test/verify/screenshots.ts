import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Locator, Page } from 'playwright-core';
import { act, DESKTOP, launch, PHONE, signIn } from '../support/browser.ts';
import { readOptions } from '../support/options.ts';
import { startStack } from '../support/stack.ts';

const GITHUB = 'https://token.actions.githubusercontent.com';
/** A token from an issuer that the stack does not trust. */
const UNTRUSTED = [{ alg: 'RS256' }, { iss: 'https://ci.example.com', sub: 'etl' }, {}]
  .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  .join('.');
const DAY = 24 * 60 * 60;

const HELP = `Takes the screenshots of the console in a browser, on a local stack with a few Deployments and keys: each page 1440 pixels
wide in light colours, and 360 pixels wide in dark ones.

  npm run verify:screenshots [-- --into <folder>]

  --into     where to write them. Default: docs/screenshots`;
const DOCUMENTED = fileURLToPath(new URL('../../docs/screenshots', import.meta.url));
const { into } = readOptions(HELP, { into: { type: 'string', default: DOCUMENTED } });
mkdirSync(into, { recursive: true });

const stack = await startStack({ context: { maxIdleDays: 30 } });
const browser = await launch();
try {
  await fill();
  const views = [
    ['desktop', DESKTOP, 'light'],
    ['phone', PHONE, 'dark'],
  ] as const;
  for (const [name, viewport, colorScheme] of views) {
    const context = await browser.newContext({
      viewport,
      colorScheme,
      reducedMotion: 'reduce',
      deviceScaleFactor: name === 'phone' ? 2 : 1,
      baseURL: stack.url,
    });
    const page = await context.newPage();
    await tour(page, (view) => page.screenshot({ path: join(into, `${view}-${name}.png`) }));
    await context.close();
  }
} finally {
  await browser.close();
  await stack.stop();
}

/** Creates the data in the screenshots. All keys except the last one are created in the past. */
async function fill(): Promise<void> {
  stack.clock.advance(-40 * DAY);
  await stack.register('etl', { name: 'Nightly ETL', groups: ['data-eng'] });
  await stack.register('features', { name: 'Feature store', groups: ['data-eng', 'ml'] });
  await stack.register('billing', { name: 'Billing', groups: ['finance'] });
  const day = (days: number) => new Date(stack.clock.now() + days * DAY * 1000).toISOString();
  const main = await stack.createKey('etl', {
    name: 'Deploy from main',
    description: 'GitHub Actions of the data platform. Ask Ada before deleting it.',
    expiresAt: day(130),
  });
  await stack.call('POST', '/deployments/etl/api-keys', {
    token: await stack.signIn('member'),
    json: { name: 'Backfill', scopes: ['airflow:write'] },
  });
  stack.clock.advance(21 * DAY);
  await stack.exchangeForToken(main);
  const readOnly = {
    name: 'Grafana',
    description: 'Reads DAG states for the wall.',
    scopes: ['airflow:read'],
  };
  await stack.createKey('etl', readOnly);
  stack.clock.advance(12 * DAY);
  const old = await stack.createKey('etl', { name: 'Old Jenkins', scopes: ['code:deploy'] });
  await stack.call('PATCH', `/deployments/etl/api-keys/${old.id}`, {
    token: await stack.signIn('admin'),
    json: { enabled: false },
  });
  const keys = '/deployments/etl/api-keys';
  const token = await stack.signIn('admin');
  const trust = [{ issuer: GITHUB, claims: { repository_id: '4711', ref: 'refs/heads/main' } }];
  const json = { name: 'Nightly', scopes: ['airflow:read'], networks: ['203.0.113.0/24'], trust };
  await stack.call('POST', keys, { token, json });
  const leaked = await stack.createKey('etl', { name: 'Laptop', scopes: ['airflow:read'] });
  stack.clock.advance(5 * DAY);
  await stack.call('POST', '/leaks', { json: { credential: leaked.secret } });
  await stack.exchangeForToken(main);
  await stack.call('POST', `${keys}/${main.id}/rotate`, { token: await stack.signIn('admin') });
  await stack.invoke('sweep-keys', {});
  await stack.call('POST', '/people/end-access', {
    token: await stack.signIn('admin'),
    json: { sub: 'member-2f41', block: true },
  });
  stack.clock.advance(2 * DAY);
}

async function tour(page: Page, shoot: (view: string) => Promise<unknown>): Promise<void> {
  const dialog = page.getByRole('dialog');
  /** Takes a screenshot of the dialog when it shows an element, and then closes the dialog with a button. */
  const shootDialog = async (view: string, shown: Locator, button: string) => {
    await shown.waitFor();
    await shoot(view);
    await dialog.getByRole('button', { name: button }).last().click();
    await dialog.waitFor({ state: 'detached' });
  };
  await page.goto('/');
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await shoot('1-sign-in');
  await signIn(page, stack, 'admin');
  await page.getByRole('link', { name: 'Nightly ETL' }).waitFor();
  await shoot('2-deployments');
  await page.getByRole('link', { name: 'Register Deployment' }).click();
  await shootDialog('16-register', dialog, 'Cancel');
  await page.getByRole('link', { name: 'Feature store' }).click();
  await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
  await shoot('3-no-keys');
  await page.goBack();
  await page.getByRole('link', { name: 'Nightly ETL' }).click();
  await page.getByRole('link', { name: 'Grafana' }).waitFor();
  await shoot('4-api-keys');
  await page.getByLabel('Select Backfill').check();
  await page.getByLabel('Select Grafana').check();
  await page.getByRole('button', { name: 'Disable' }).click();
  await shootDialog('17-several-keys', dialog, 'Cancel');
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.getByRole('link', { name: 'Create API key' }).click();
  await dialog.getByLabel('Name').fill('Release pipeline');
  await dialog.getByLabel('code:deploy').check();
  await shoot('5-add-key');
  await dialog.getByLabel('OIDC token from CI').check();
  await dialog.getByLabel('Repository', { exact: true }).fill('acme/etl');
  await dialog.getByLabel('Repository', { exact: true }).evaluate('document.activeElement.scrollIntoView()');
  await shoot('13-trust');
  await dialog.getByLabel('Client secret').check();
  await dialog.getByRole('button', { name: 'Create API key' }).click();
  await shootDialog('6-secret', dialog.getByText('This is the only time'), 'I have saved the secret');
  await act(page, 'Release pipeline', 'Edit');
  await shootDialog('7-edit-key', dialog.getByRole('button', { name: 'Save' }), 'Cancel');
  await act(page, 'Release pipeline', 'Delete');
  await dialog.getByLabel('Type the key’s name').fill('Release pipeline');
  await shootDialog('8-delete-key', dialog, 'Delete API key');
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await page.getByRole('link', { name: 'Deploy from main' }).click();
  await page.getByText('All events of this key').waitFor();
  await page.getByText('rotated; the old secret').first().waitFor();
  await shoot('18-key');
  await page.getByRole('link', { name: 'Rotate secret' }).click();
  await dialog.getByLabel('Retire the old secret').selectOption('After 30 days');
  await shootDialog('11-rotate', dialog, 'Cancel');
  await page.goBack();
  await act(page, 'Laptop', 'Replace secret');
  await shootDialog(
    '12-it-leaked',
    dialog.getByText('All existing secrets and tokens of this key stop working.'),
    'Cancel',
  );
  await act(page, 'Nightly', 'CI setup');
  await shootDialog('14-ci-step', dialog.getByRole('button', { name: 'Done' }), 'Done');
  await act(page, 'Nightly', 'Explain a token');
  await dialog.getByLabel('OIDC token').fill(UNTRUSTED);
  await dialog.getByRole('button', { name: 'Explain token' }).click();
  await shootDialog('19-explain', dialog.getByText('The token satisfies'), 'Close');
  await page.getByRole('link', { name: 'Events', exact: true }).click();
  await page.getByText('Deployment registered').waitFor();
  await shoot('15-events');
  await page.getByRole('link', { name: 'People' }).click();
  await page.getByRole('button', { name: 'member-2f41' }).first().click();
  await shootDialog('20-person', dialog.getByText('1 key found'), 'Close');
  await shoot('21-people');
  await page.goto('/token?deployment=etl');
  await page.getByLabel('airflow:read').check();
  await page.getByRole('button', { name: 'Create temporary token' }).click();
  await page.getByText('This is the only time').waitFor();
  await shoot('9-token');
  await page.getByRole('button', { name: 'Done' }).click();
  await page
    .getByRole('button', { name: /^Revoke the token issued/ })
    .first()
    .waitFor();
  await shoot('10-temporary-tokens');
}
