import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitepress';
import { anchorOf, pathOf, REPOSITORY, ROOT, withAddresses } from './links.mjs';

const BASE = process.env.SITE_BASE ?? '/';
const page = (text, link) => ({ text, link });
const decisions = readdirSync(`${ROOT}/docs/decisions`)
  .filter((name) => name !== 'README.md')
  .map((name) => {
    const [, title] = /^# (.*)$/m.exec(readFileSync(`${ROOT}/docs/decisions/${name}`, 'utf8'));
    return page(title.replaceAll('`', ''), `/decisions/${name.slice(0, -'.md'.length)}`);
  });

const SIDEBAR = [
  {
    text: 'Get started',
    items: [
      page('Overview', '/'),
      page('Run it locally', '/#quick-start'),
      page('First deploy', '/first-deploy'),
      page('Use it from CI', '/ci'),
      page('Guard an API', '/authorizer'),
    ],
  },
  {
    text: 'Guides',
    items: [
      page('Get and use access tokens', '/oauth'),
      page('Manage API keys', '/keys'),
      page('Trusted issuers', '/issuers'),
      page('My secret leaked', '/leaked'),
      page('The console', '/console'),
      page('Guard an API without API Gateway', '/guards'),
      page('Automate with an IAM role', '/platform'),
      page('Follow your own table', '/deployments-source'),
      page('A key in Secrets Manager', '/key-secret'),
      page("End a person's access", '/people'),
      page('Find leaked secrets', '/secret-scanning'),
      page('Migrate from another service', '/migrating'),
    ],
  },
  {
    text: 'Reference',
    items: [
      page('Settings', '/settings'),
      { text: 'API', link: '/api.html', target: '_self' },
      page('Command line', '/cli'),
      page('Errors', '/errors'),
      page('Events', '/events'),
      page('Limits and quotas', '/limits'),
      page('Versions and releases', '/versioning'),
      page('Changelog', '/CHANGELOG'),
    ],
  },
  {
    text: 'Operate',
    items: [
      page('Runbook', '/runbook'),
      page('Deploy from CI', '/deploying'),
      page('Upgrade and remove', '/upgrading'),
      page('Cost', '/cost'),
      page('Scale', '/scale'),
      page('Performance', '/performance'),
      page('Performance limits', '/performance-limits'),
      page('Incidents', '/incidents/'),
      page('Personal data', '/data'),
    ],
  },
  {
    text: 'Concepts',
    items: [
      page('Guarantees', '/guarantees'),
      page('How a check works', '/guarantees#how-a-check-works'),
      page('Sliding expiry', '/guarantees#sliding-expiry'),
      page('Threat model', '/threat-model'),
      page('Tested faults', '/faults'),
      page('Reliability', '/reliability'),
      page('Verified behaviour of AWS', '/verified'),
    ],
  },
  { text: 'Decisions', collapsed: true, items: [page('All decisions', '/decisions/'), ...decisions] },
];

/**
 * Renders a page for the search index, which needs no colours in code. Colouring the code of all pages once more would take
 * a third of the build's time.
 */
function withoutColours(source, env, markdown) {
  const { highlight } = markdown.options;
  markdown.options.highlight = null;
  try {
    return markdown.render(source, env);
  } finally {
    markdown.options.highlight = highlight;
  }
}

export default defineConfig({
  title: 'Deployment API Keys',
  description:
    'API keys for Deployments: exchange a key for an access token that each use extends. Serverless, on AWS.',
  base: BASE,
  head: [['link', { rel: 'icon', href: `${BASE}icon.svg` }]],
  // The folder to which build.mjs copies the pages.
  srcDir: './pages',
  rewrites: pathOf,
  outDir: './dist',
  cacheDir: './.cache',
  metaChunk: true,
  // Some examples link to ports on the reader's own machine.
  ignoreDeadLinks: 'localhostLinks',
  markdown: {
    anchor: { slugify: anchorOf },
    // The highlighter has no grammar for Caddyfiles, which look like the configuration of nginx.
    languageAlias: { caddy: 'nginx' },
    config: withAddresses,
  },
  themeConfig: {
    search: { provider: 'local', options: { _render: withoutColours } },
    sidebar: SIDEBAR,
    outline: [2, 3],
    editLink: { pattern: `${REPOSITORY}/edit/main/:path` },
    socialLinks: [{ icon: 'github', link: REPOSITORY }],
  },
  vite: {
    logLevel: 'warn',
  },
});
