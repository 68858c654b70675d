import { expect, it } from 'vitest';
import { describeInBrowser, PHONE } from '../support/browser.ts';
import { runStack } from '../support/stack.ts';

const stack = await runStack();
const path = '/console/deployments/etl-2';

describeInBrowser('an administrator after the first deployment of the stack', stack, (open) => {
  it('an administrator registers, changes and deletes a Deployment, and creates its first key', {
    timeout: 180_000,
  }, async () => {
    const member = await open({ viewport: PHONE });
    await member.signIn('member');
    await member.page.getByRole('heading', { name: 'No Deployments for you yet' }).waitFor();
    await member.page.getByText('data-eng').waitFor();
    expect(await member.page.getByRole('link', { name: 'Register Deployment' }).count()).toBe(0);
    expect(await member.page.getByText('Events of a deleted Deployment').count()).toBe(0);
    await member.expectCraft();

    const { page, dialog, faults, signIn, rowOf, expectCraft, expectCraftInEachSize } = await open();
    await signIn('admin');
    await page.getByRole('heading', { name: 'Register your first Deployment' }).waitFor();
    await expectCraftInEachSize();
    await page.getByRole('link', { name: 'Register Deployment' }).click();
    const register = dialog.getByRole('button', { name: 'Register Deployment' });
    await dialog.getByLabel('ID').fill('not an ID');
    await register.click();
    // The console rejects the malformed ID before it makes a call, and says what is wrong next to the field.
    await dialog.getByText('ID has the wrong format. Use letters, digits, hyphens and underscores').waitFor();
    expect(await dialog.getByLabel('ID').and(page.locator(':focus')).count()).toBe(1);
    await expectCraftInEachSize();
    await dialog.getByLabel('ID').fill('etl-1');
    await dialog.getByLabel('Name').fill(' Nightly ETL ');
    await dialog.getByLabel('Groups').fill('data-eng\n\n ml \ndata-eng');
    await expectCraft();
    await register.click();
    await page.getByText('Deployment “Nightly ETL” registered').waitFor();
    await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
    expect((await stack.callAs('admin', 'GET', '/deployments/etl-1')).json).toMatchObject({
      name: 'Nightly ETL',
      groups: ['data-eng', 'ml'],
    });
    await page.getByRole('link', { name: 'Create API key' }).click();
    await dialog.getByLabel('Name').fill('first');
    // If no scope is selected, the form shows an error and makes no call.
    await dialog.getByRole('button', { name: 'Create API key' }).click();
    await dialog.getByText('Select at least one scope').waitFor();
    await dialog.getByLabel('code:deploy').check();
    await dialog.getByRole('button', { name: 'Create API key' }).click();
    await dialog.getByRole('button', { name: 'I have saved the secret' }).click();
    await dialog.waitFor({ state: 'detached' });

    // Registering an existing ID again does not change that Deployment.
    await page.getByRole('link', { name: 'Deployments', exact: true }).first().click();
    await page.getByRole('link', { name: 'Register Deployment' }).click();
    await dialog.getByLabel('ID').fill('etl-1');
    await dialog.getByLabel('Name').fill('Overwritten');
    await register.click();
    await dialog.getByText('ID is already registered').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Discard changes' }).click();
    await rowOf('Nightly ETL').getByRole('link').click();

    await page.getByRole('link', { name: 'Settings' }).click();
    await dialog.getByLabel('Groups').fill('data-eng');
    await dialog.getByLabel('Name').fill('ETL');
    await expectCraft();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'ETL', exact: true }).waitFor();
    expect((await stack.callAs('admin', 'GET', '/deployments/etl-1')).json).toMatchObject({
      name: 'ETL',
      groups: ['data-eng'],
    });

    const token = await stack.exchangeForToken(await stack.createKey('etl-1'));
    await page.getByRole('link', { name: 'Settings' }).click();
    await dialog.getByRole('link', { name: 'Delete Deployment' }).click();
    const remove = dialog.getByRole('button', { name: 'Delete Deployment' });
    await dialog.getByLabel('Type etl-1 to delete the Deployment').fill('ETL');
    expect(await remove.isDisabled()).toBe(true);
    await dialog.getByLabel('Type etl-1 to delete the Deployment').fill('etl-1');
    await expectCraftInEachSize();
    await remove.click();
    await page.getByRole('heading', { name: 'Register your first Deployment' }).waitFor();
    expect((await stack.callAs('admin', 'GET', '/deployments/etl-1')).status).toBe(404);
    expect(await stack.use(token)).toBe(401);
    // The console checked whether the ID was in use, which logged a 404.
    expect(faults.filter((fault) => !fault.includes('404'))).toStrictEqual([]);
  });

  it('a member sees no settings for administrators and cannot open their dialogs by URL', async () => {
    await stack.register('etl-2');
    const { page, signIn } = await open();
    await signIn('member', path);
    await page.getByRole('heading', { name: 'No API keys yet' }).waitFor();
    expect(await page.getByRole('link', { name: 'Settings' }).count()).toBe(0);
    for (const dialog of ['/console/register', `${path}/settings`, `${path}/delete`]) {
      await page.goto(`${stack.url}${dialog}`);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page
        .getByText(/Deployments?/)
        .first()
        .waitFor();
      expect(await page.getByRole('dialog').count()).toBe(0);
    }
  });
});

describeInBrowser('156 Deployments in the console', stack, (open) => {
  it('the Deployment list and the token page find each of 156 Deployments by ID or name', {
    timeout: 180_000,
  }, async () => {
    for (let from = 0; from < 156; from += 3) {
      await Promise.all(
        Array.from({ length: 3 }, (_, at) => from + at).map((index) =>
          stack.register(`many-${String(index).padStart(3, '0')}`, {
            name: index === 150 ? 'خط الأنابيب' : `Team ${index}`,
            groups: ['data-eng'],
          }),
        ),
      );
    }
    const { page, signIn, rowOf, expectCraft, expectCraftInEachSize } = await open();
    await signIn('member', '/console');
    await page.getByText('157 Deployments').waitFor();
    await expectCraftInEachSize();
    await page.getByRole('searchbox').fill('many-155');
    await page.getByText('1 of 157 Deployments').waitFor();
    await rowOf('Team 155').getByRole('link').click();
    await page.getByRole('heading', { name: 'Team 155' }).waitFor();
    await page.goBack();
    await page.getByText('1 of 157 Deployments').waitFor();
    await page.getByRole('searchbox').fill('');
    await page.getByRole('link', { name: 'Next' }).click();
    await page.getByText('51–100 of 157').waitFor();

    // The console loads at most 1,000 Deployments. The API finds all others by the beginning of their ID.
    const isLater = ({ searchParams }: URL) => searchParams.get('cursor') !== null;
    await page.route(
      (url) => url.pathname === '/deployments' && isLater(url),
      (route) => route.fulfill({ json: { items: [], nextCursor: 'more' } }),
    );
    await page.goto(`${stack.url}/console`);
    await page.getByText('The first 100 Deployments').waitFor();
    await page.getByRole('searchbox').fill('many-15');
    await page.getByText('6 Deployments found. Beyond the first 100, only').waitFor();
    await rowOf('Team 155').waitFor();
    await expectCraft();
    await page.getByRole('searchbox').fill('none-such');
    await page.getByText('No Deployment matches “none-such”.').waitFor();
    await page.goto(`${stack.url}/token`);
    const combobox = page.getByRole('combobox', { name: 'Deployment' });
    await combobox.fill('many-155');
    await page.getByRole('option', { name: 'Team 155' }).waitFor();
    await combobox.fill('none-such');
    await page.getByText('No Deployment matches.').waitFor();

    // The search shows that it is running or has failed, and offers another attempt.
    const held: ((status: number) => void)[] = [];
    await page.route(
      ({ searchParams }) => searchParams.get('prefix') === 'many-14',
      async (route) => {
        const status = await new Promise<number>((resolve) => held.push(resolve));
        return status === 200 ? route.continue() : route.fulfill({ status, body: '{}' });
      },
    );
    const answer = async (status: number) => {
      await page.getByText('Searching…').waitFor();
      await expect.poll(() => held.length).toBe(1);
      held.shift()?.(status);
    };
    await combobox.fill('many-14');
    await answer(503);
    await page.getByText('Not all Deployments were searched.').waitFor();
    await expectCraft();
    await page.getByRole('button', { name: 'Try again' }).click();
    await answer(200);
    await page.getByRole('option', { name: 'Team 149' }).waitFor();

    await page.goto(`${stack.url}/console?q=many-14`);
    await answer(503);
    await page.getByText('The service is busy. Try again in a moment.').waitFor();
    expect(await page.getByText('No Deployment matches').count()).toBe(0);
    await expectCraft();
    await page.getByRole('button', { name: 'Try again' }).click();
    await answer(200);
    await rowOf('Team 149').waitFor();
    await page.unrouteAll();

    await page.goto(`${stack.url}/token`);
    const picker = page.getByRole('combobox', { name: 'Deployment' });
    await picker.fill('team 155');
    await page.getByRole('option').first().click();
    expect(new URL(page.url()).search).toBe('?deployment=many-155');
    await page.getByLabel('code:deploy').check();
    await page.getByRole('button', { name: 'Create temporary token' }).click();
    await page.getByText('This is the only time that the token is shown.').waitFor();
    await page.getByText('It expires 24 hours after issue; using it doesn’t extend it.').waitFor();
  });
});

describeInBrowser('the end of a person’s access in the console', stack, (open) => {
  it("an administrator can end a person's access, follow the job, and restore the access", {
    timeout: 180_000,
  }, async () => {
    await stack.register('leaver');
    const keys = '/deployments/leaver/api-keys';
    const body = { json: { name: 'theirs', scopes: ['code:deploy'] } };
    const theirs = (await stack.callAs('member', 'POST', keys, body)).json;
    await stack.createKey('leaver', { name: 'other' });
    const token = (await stack.callAs('member', 'POST', '/deployments/leaver/temporary-tokens', { json: {} }))
      .json.access_token;
    const readKeys = async () => (await stack.callAs('admin', 'GET', keys)).json.items;
    const { page, dialog, faults, signIn, rowOf, expectCraft, expectCraftInEachSize, traces } = await open();
    const urls: string[] = [];
    page.on('request', (request) => urls.push(request.url()));
    const end = dialog.getByRole('button', { name: 'End access', exact: true });
    await signIn('admin', '/console/deployments/leaver');

    await rowOf('theirs').getByRole('button', { name: 'member-2f41' }).click();
    await dialog.getByText('Access was never ended').waitFor();
    await dialog.getByRole('heading', { name: 'member-2f41' }).waitFor();
    await expectCraft();
    await end.click();
    expect(await dialog.getByLabel('Block until access is restored').isChecked()).toBe(true);
    expect(await dialog.getByLabel('Find and list').isChecked()).toBe(true);
    await dialog.getByLabel('Find and disable').check();
    await expectCraft();
    expect(await stack.use(token)).toBe(200);
    // The job finishes too quickly for the page to show the job as running.
    await page.route(
      '**/people/find',
      async (route) => {
        const found = await (await route.fetch()).json();
        await route.fulfill({
          json: { ...found, job: { ...found.job, status: 'running', disabled: 0 }, keys: [] },
        });
      },
      { times: 1 },
    );
    await end.click();
    await dialog.getByText(/^Searching all keys: \d keys? found so far$/).waitFor();
    await page.getByText('Access of member-2f41 ended', { exact: true }).waitFor();
    expect(await stack.use(token)).toBe(401);
    await dialog.getByText('1 key found, 1 disabled').waitFor();
    await dialog.getByText('Blocked').waitFor();
    await dialog.getByText('The person created it and received an active secret.').waitFor();
    await expectCraftInEachSize();
    expect(
      (await readKeys()).map(({ name, enabled }: { name: string; enabled: boolean }) => [name, enabled]),
    ).toStrictEqual([
      ['theirs', false],
      ['other', true],
    ]);
    await dialog.getByRole('link', { name: 'theirs' }).click();
    await page.getByText('This key is disabled.').waitFor();
    expect(new URL(page.url()).pathname).toBe(`/console/deployments/leaver/keys/${theirs.id}`);

    // The list and the events also show that access was ended, and a search for the ID finds the person.
    await page.getByRole('link', { name: 'People' }).click();
    await rowOf('member-2f41').getByText('1 key found, 1 disabled').waitFor();
    await page.getByText('Access of member-2f41 ended, and new sign-ins blocked').waitFor();
    await expectCraftInEachSize();
    stack.clock.advance(60);
    expect((await stack.callAs('member', 'GET', keys)).status).toBe(401);
    await page.getByLabel('ID of a person').fill('member-2f41');
    await page.getByRole('button', { name: 'Find person' }).click();
    await dialog.getByRole('button', { name: 'Restore access' }).click();
    await dialog.getByText('Allowed').waitFor();
    expect((await stack.callAs('member', 'GET', keys)).status).toBe(200);
    expect(await stack.use(token)).toBe(401);
    await page.keyboard.press('Escape');
    await rowOf('member-2f41').getByText('Allowed').waitFor();

    // Ending your own access requires a confirmation.
    await page.getByLabel('ID of a person').fill('admin-7d0c');
    await page.keyboard.press('Enter');
    await end.click();
    await dialog.getByText('This is you.').waitFor();
    expect(await end.isDisabled()).toBe(true);
    await dialog.getByLabel('Type admin-7d0c to end your own access').fill('admin-7d0c');
    expect(await end.isDisabled()).toBe(false);
    await expectCraft();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await page.keyboard.press('Escape');
    // On a phone, no word in the navigation is broken across lines.
    await page.setViewportSize(PHONE);
    const links = await page.getByRole('navigation', { name: 'Main' }).getByRole('link').all();
    const boxes = await Promise.all(links.map((link) => link.boundingBox()));
    for (const box of boxes) expect(box?.height).toBeLessThanOrEqual(40);
    expect(Math.max(...boxes.map((box) => (box?.x ?? 0) + (box?.width ?? 0)))).toBeLessThanOrEqual(
      PHONE.width,
    );
    await expectCraft();
    expect(urls.filter((url) => url.includes('member-2f41'))).toStrictEqual([]);
    expect(await traces()).not.toContain('member-2f41');
    expect(faults).toStrictEqual([]);
  });

  it('a member cannot open the People page, and the console makes no calls about people for members', async () => {
    const { page, signIn, expectCraft } = await open({ viewport: PHONE });
    const calls: string[] = [];
    page.on('request', (request) => calls.push(new URL(request.url()).pathname));
    await signIn('member', '/console/people');
    await page.getByText('Only administrators can see this page.').waitFor();
    expect(await page.getByRole('link', { name: 'People' }).count()).toBe(0);
    expect(calls).not.toContain('/people');
    await expectCraft();
  });
});
