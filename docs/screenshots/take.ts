/**
 * Takes the screenshots of the console: `npm run screenshots`. A local stack, a Deployment with a few keys, a
 * browser; each page at 1440 and 360 pixels, the wide ones in light and the narrow ones in dark.
 */
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { startLocalStack } from '../../infra/local/local-stack.ts';
import { DESKTOP, launch, PHONE, signIn } from '../../test/support/browser.ts';
import { call, makeDeployment, makeKey } from '../../test/support/stack.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const DAY = 24 * 60 * 60;

const stack = await startLocalStack();
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
    await tour(page, (view) => page.screenshot({ path: `${HERE}${view}-${name}.png` }));
    await context.close();
  }
} finally {
  await browser.close();
  await stack.stop();
}

/** What there is to see. The keys are made in the past, the last one now. */
async function fill(): Promise<void> {
  stack.clock.advance(-40 * DAY);
  await makeDeployment(stack, 'etl', { name: 'Nightly ETL', groups: ['data-eng'] });
  await makeDeployment(stack, 'features', { name: 'Feature store', groups: ['data-eng', 'ml'] });
  await makeDeployment(stack, 'billing', { name: 'Billing', groups: ['finance'] });
  const day = (days: number) => new Date(stack.clock.now() + days * DAY * 1000).toISOString();
  await makeKey(stack, 'etl', {
    name: 'Deploy from main',
    description: 'GitHub Actions of the data platform. Ask Ada before deleting it.',
    expiresAt: day(130),
  });
  stack.clock.advance(21 * DAY);
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
  stack.clock.advance(7 * DAY);
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
  await page.getByRole('heading', { name: 'No API Keys yet' }).waitFor();
  await shoot('3-no-keys');
  await page.goBack();
  await page.getByRole('link', { name: 'Nightly ETL' }).click();
  await page.getByRole('heading', { name: 'Grafana' }).waitFor();
  await shoot('4-api-keys');
  await page.getByRole('link', { name: 'Add API Key' }).click();
  await dialog.getByLabel('Name').fill('Release pipeline');
  await shoot('5-add-key');
  await dialog.getByRole('button', { name: 'Add API Key' }).click();
  await dialog.getByText('This is the only time').waitFor();
  await shoot('6-secret');
  await dialog.getByRole('button', { name: 'I have saved the secret' }).click();
  await page.getByRole('link', { name: 'Edit Release pipeline' }).click();
  await dialog.getByRole('button', { name: 'Save' }).waitFor();
  await shoot('7-edit-key');
  await dialog.getByRole('button', { name: 'Delete API Key' }).click();
  await dialog.getByLabel('Type the key’s name').fill('Release pipeline');
  await shoot('8-delete-key');
  await dialog.getByRole('button', { name: 'Delete API Key' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.goto('/token?deployment=etl');
  await page.getByRole('button', { name: 'Get a temporary token' }).click();
  await page.getByText('This is the only time').waitFor();
  await shoot('9-token');
  await page.getByRole('link', { name: 'See and revoke' }).click();
  await page.getByText('Issued').first().waitFor();
  await shoot('10-temporary-tokens');
}
