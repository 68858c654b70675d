import { expect, it } from 'vitest';
import { describeInBrowser } from '../support/browser.ts';
import { runStack } from '../support/stack.ts';

const stack = await runStack();
await stack.register('demo', { name: 'Demo', groups: ['data-eng'] });
const key = await stack.createKey('demo');

/** Strings that a link can contain in place of a Deployment's ID. */
const HOSTILE = [
  `demo/api-keys/${key.id}/rotate?`,
  `demo/api-keys/${key.id}/rotate#`,
  `../deployments/demo/api-keys/${key.id}/rotate?`,
  'demo?',
  'demo#x',
  'demo/',
  '..',
  '.',
  '%2e%2e',
  'demo%2Fapi-keys',
  '..%2Fdeployments%2Fdemo',
  'demo\\api-keys',
  'demo\u0000',
  'demo\n',
  ' demo',
  'démo',
  '//evil.example/x',
  'https://evil.example/x',
  'a'.repeat(65),
];

describeInBrowser('a link to the console', stack, (open) => {
  it('#62: any link to the console only opens the page of its Deployment or shows an error', async () => {
    const { page, signIn } = await open();
    await signIn('member', '/token');
    const calls: string[] = [];
    page.on('request', (request) => {
      const isCall = request.resourceType() === 'fetch';
      if (isCall) calls.push(`${request.method()} ${request.url().replace(stack.url, '')}`);
    });
    // Navigates within the page, as the page's own links do, so that the person stays signed in.
    const go = (link: string) =>
      page.evaluate(
        `(() => {
          const link = document.createElement('a');
          link.href = ${JSON.stringify(link)};
          document.body.append(link);
          link.click();
          link.remove();
        })()`,
      );
    for (const text of HOSTILE) {
      const part = encodeURIComponent(text);
      await go(`/token?deployment=${part}`);
      await page.getByRole('heading', { name: 'Page not found' }).waitFor();
      await go('/token');
      await page.getByRole('button', { name: 'Create temporary token' }).waitFor();
      await go(`/console/deployments/${part}`);
      await go(`/console/deployments/${part}/events`);
      await go(`/console/deployments/demo/keys/${part}/rotate`);
    }
    await go('/console');
    await page.getByRole('link', { name: 'Demo' }).waitFor();
    // The browser itself resolves /console/deployments/./events to the page for a Deployment named events.
    const isOfPage = (one: string) =>
      /^GET \/deployments(\/[\w-]+(\/(api-keys\?order=newest|events|temporary-tokens))?)?$/.test(one);
    expect(calls.filter((one) => !isOfPage(one))).toStrictEqual([]);
    expect(calls.length).toBeGreaterThan(HOSTILE.length);
    // The key that the links name was not rotated.
    const { json } = await stack.callAs('admin', 'GET', `/deployments/demo/api-keys/${key.id}`);
    expect(json.credentials).toHaveLength(1);
  });

  it("#57: the console shows a person as a user even if the person's sub is the name of a job", async () => {
    const subs = ['purge', 'sweep', 'anonymous', 'the service: purge'];
    for (const sub of subs) {
      const token = await stack.signIn('member', 'access', ({ payload }) => {
        payload.sub = sub;
      });
      const { status } = await stack.call('POST', '/deployments/demo/temporary-tokens', { token, json: {} });
      expect(status).toBe(201);
    }
    const { page, signIn } = await open();
    await signIn('member', '/console/deployments/demo/events');
    await page.getByText('Temporary token issued').first().waitFor();
    for (const sub of subs) {
      const line = page.locator('.event p', {
        has: page.locator('.who', { hasText: new RegExp(`^${sub}$`) }),
      });
      expect(await line.innerText()).toMatch(new RegExp(`by user ${sub} from 127\\.0\\.0\\.1$`));
    }
  });
});
