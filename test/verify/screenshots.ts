import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { startLocalStack } from '../../local/local-stack.ts';
import { DESKTOP, launch, PHONE, signIn } from '../support/browser.ts';
import { readOptions } from '../support/options.ts';
import { call, makeDeployment, makeKey, swap } from '../support/stack.ts';

const GITHUB = 'https://token.actions.githubusercontent.com';
const DAY = 24 * 60 * 60;

const HELP = `Takes the screenshots of the console in a browser, on a local stack with a few Deployments and keys: each page 1440 pixels
wide in light colours, and 360 pixels wide in dark ones.

  npm run screenshots [-- --into <folder>]

  --into     where to write them. Default: docs/screenshots`;
const DOCUMENTED = fileURLToPath(new URL('../../docs/screenshots', import.meta.url));
const { into } = readOptions(HELP, { into: { type: 'string', default: DOCUMENTED } });
mkdirSync(into, { recursive: true });

const stack = await startLocalStack({ context: { maxIdleDays: 30 } });
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

/** Creates the data in the screenshots. Keys are created in the past, except the last one. */
async function fill(): Promise<void> {
  stack.clock.advance(-40 * DAY);
  await makeDeployment(stack, 'etl', { name: 'Nightly ETL', groups: ['data-eng'] });
  await makeDeployment(stack, 'features', { name: 'Feature store', groups: ['data-eng', 'ml'] });
  await makeDeployment(stack, 'billing', { name: 'Billing', groups: ['finance'] });
  const day = (days: number) => new Date(stack.clock.now() + days * DAY * 1000).toISOString();
  const main = await makeKey(stack, 'etl', {
    name: 'Deploy from main',
    description: 'GitHub Actions of the data platform. Ask Ada before deleting it.',
    expiresAt: day(130),
  });
  await makeKey(stack, 'etl', { name: 'Backfill', scopes: ['airflow:write'] });
  stack.clock.advance(21 * DAY);
  await swap(stack, main);
  const readOnly = {
    name: 'Grafana',
    description: 'Reads DAG states for the wall.',
    scopes: ['airflow:read'],
  };
  await makeKey(stack, 'etl', readOnly);
  stack.clock.advance(12 * DAY);
  const old = await makeKey(stack, 'etl', { name: 'Old Jenkins', scopes: ['code:deploy'] });
  await call(stack, 'PATCH', `/deployments/etl/api-keys/${old.id}`, {
    token: await stack.signIn('admin'),
    json: { enabled: false },
  });
  const keys = '/deployments/etl/api-keys';
  const token = await stack.signIn('admin');
  const trust = [{ issuer: GITHUB, claims: { repository_id: '4711', ref: 'refs/heads/main' } }];
  const json = { name: 'Nightly', scopes: ['airflow:read'], networks: ['203.0.113.0/24'], trust };
  await call(stack, 'POST', keys, { token, json });
  const leaked = await makeKey(stack, 'etl', { name: 'Laptop', scopes: ['airflow:read'] });
  stack.clock.advance(5 * DAY);
  await call(stack, 'POST', '/leaks', { json: { credential: leaked.secret } });
  await swap(stack, main);
  await call(stack, 'POST', `${keys}/${main.id}/rotate`, { token: await stack.signIn('admin') });
  await stack.invoke('sweep-keys', {});
  stack.clock.advance(2 * DAY);
}

async function tour(page: Page, shoot: (view: string) => Promise<unknown>): Promise<void> {
  const dialog = page.getByRole('dialog');
  await page.goto('/');
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await shoot('1-sign-in');
  await signIn(page, stack, 'member');
  await page.getByRole('link', { name: 'Nightly ETL' }).waitFor();
  await shoot('2-deployments');
  await page.getByRole('link', { name: 'Feature store' }).click();
  await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
  await shoot('3-no-keys');
  await page.goBack();
  await page.getByRole('link', { name: 'Nightly ETL' }).click();
  await page.getByRole('heading', { name: 'Grafana' }).waitFor();
  await shoot('4-api-keys');
  await page.getByRole('link', { name: 'Create API key' }).click();
  await dialog.getByLabel('Name').fill('Release pipeline');
  await shoot('5-add-key');
  await dialog.getByRole('button', { name: 'Create API key' }).click();
  await dialog.getByText('This is the only time').waitFor();
  await shoot('6-secret');
  await dialog.getByRole('button', { name: 'I have saved the secret' }).click();
  await page.getByRole('link', { name: 'Edit Release pipeline' }).click();
  await dialog.getByRole('button', { name: 'Save' }).waitFor();
  await shoot('7-edit-key');
  await dialog.getByRole('button', { name: 'Delete API key' }).click();
  await dialog.getByLabel('Type the key’s name').fill('Release pipeline');
  await shoot('8-delete-key');
  await dialog.getByRole('button', { name: 'Delete API key' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'Rotate Deploy from main' }).click();
  await dialog.getByLabel('Retire the old secret').selectOption('After 30 days');
  await shoot('11-rotate');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('link', { name: 'Replace secret Laptop' }).click();
  await dialog.getByText('All existing secrets and tokens of this key stop working.').waitFor();
  await shoot('12-it-leaked');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('link', { name: 'Edit Nightly' }).click();
  await dialog.getByLabel('Issuer').waitFor();
  await shoot('13-trust');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('link', { name: 'CI setup Nightly' }).click();
  await dialog.getByRole('button', { name: 'Done' }).waitFor();
  await shoot('14-ci-step');
  await dialog.getByRole('button', { name: 'Done' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'Events', exact: true }).click();
  await page.getByText('Deployment registered').waitFor();
  await shoot('15-events');
  await page.goto('/token?deployment=etl');
  await page.getByRole('button', { name: 'Create temporary token' }).click();
  await page.getByText('This is the only time').waitFor();
  await shoot('9-token');
  await page.getByRole('link', { name: 'View and revoke' }).click();
  await page.getByText('Issued').first().waitFor();
  await shoot('10-temporary-tokens');
}
