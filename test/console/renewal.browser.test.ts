import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { describeInBrowser } from '../support/browser.ts';
import { runStack } from '../support/stack.ts';

const stack = await runStack({ context: { consoleScopes: 'openid,profile,offline_access' } });
await stack.register('etl', { name: 'ETL', groups: ['data-eng'] });

/**
 * Records the refresh tokens that the issuer returns to the page from now on: one for the sign-in, and one for each
 * refresh.
 */
function watchRefreshTokens(page: Page): Promise<string>[] {
  const given: Promise<string>[] = [];
  page.on('response', (response) => {
    if (response.url() !== `${stack.issuer}/token`) return;
    given.push(response.json().then((tokens) => tokens.refresh_token));
  });
  return given;
}

/** Opens a page that makes two concurrent calls with an expired access token. */
async function openAfterTheEnd(page: Page) {
  await page.getByRole('link', { name: 'ETL' }).waitFor();
  stack.clock.advance(2 * 3600);
  await page.getByRole('link', { name: 'ETL' }).click();
  await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
}

describeInBrowser('a sign-in with a refresh token', stack, (open) => {
  it('the console renews an expired access token silently and never exposes the refresh token', async () => {
    const { page, signIn, traces } = await open();
    const given = watchRefreshTokens(page);
    await signIn('member');
    await openAfterTheEnd(page);
    expect(given).toHaveLength(2);
    const kept = await traces();
    for (const token of await Promise.all(given)) expect(kept).not.toContain(token);
  });

  it('for concurrent calls, the console refreshes the sign-in only once, even if one 401 response arrives late', async () => {
    const { page, signIn } = await open();
    const given = watchRefreshTokens(page);
    await signIn('member');
    // By now, the other call has refreshed the sign-in, used the new token and received a response.
    const otherIsDone = page.waitForResponse((one) => one.url().endsWith('/deployments/etl') && one.ok());
    let refused = 0;
    await page.route('**/deployments/etl/api-keys*', async (route) => {
      const response = await route.fetch();
      if (response.status() === 401 && refused++ === 0) await otherIsDone;
      await route.fulfill({ response });
    });
    await openAfterTheEnd(page);
    expect(refused).toBe(1);
    expect(given).toHaveLength(2);
  });
});
