import { expect, it } from 'vitest';
import { describeInBrowser, signIn, traces } from '../support/browser.ts';
import { makeDeployment, runStack } from '../support/stack.ts';

const stack = await runStack({ context: { consoleScopes: 'openid,profile,offline_access' } });
await makeDeployment(stack, 'etl', { name: 'ETL', groups: ['data-eng'] });

describeInBrowser('a sign-in that can be renewed', (open) => {
  it('goes on without a word when the access token ends, and keeps the refresh token to itself', async () => {
    const { page } = await open();
    const refreshTokens: string[] = [];
    page.on('response', async (response) => {
      if (response.url() !== `${stack.issuer}/token`) return;
      refreshTokens.push((await response.json()).refresh_token);
    });
    await signIn(page, stack, 'member');
    await page.getByRole('link', { name: 'ETL' }).waitFor();
    stack.clock.advance(2 * 3600);
    await page.getByRole('link', { name: 'ETL' }).click();
    await page.getByRole('heading', { name: 'No API Keys yet' }).waitFor();
    // Two calls met the end of the token at once, and shared one renewal.
    expect(refreshTokens).toHaveLength(2);
    const kept = await traces(page);
    for (const token of refreshTokens) expect(kept).not.toContain(token);
  });
});
