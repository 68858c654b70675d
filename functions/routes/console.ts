import { gunzipSync } from 'node:zlib';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import type { IssuerEntry } from '../domain/trust.ts';
import { escaped, pageHeaders } from '../http/page-headers.ts';

/** The files of the console, built by infra/console-page.ts. */
export interface ConsoleFiles {
  /** Names of the script file and the style sheet file. */
  script: string;
  style: string;
  icon: string;
  /** The files by name, each gzipped and encoded in base64. Each name contains a hash of the file's content. */
  assets: Record<string, string>;
}

/** The console's configuration, which is public. */
export interface PageConfig {
  issuer: string;
  clientId: string;
  signInScope: string;
  scopes: string[];
  trustedIssuers: Omit<IssuerEntry, 'hasInlineKeys'>[];
  people: { groupsClaim: string; adminGroup: string | undefined; adminScope: string | undefined };
  policy: { maxKeyDays?: number | undefined; keysWithSecrets?: boolean | undefined };
}

const TYPES: Record<string, string> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

/**
 * Serves the console. Every path returns the same page, so that reloading keeps the current view. The page and its
 * files contain nothing private; private data comes only from the API.
 */
export function consolePage(files: ConsoleFiles, { origins, ...config }: PageConfig & { origins: string[] }) {
  // Forbids inline scripts and styles, and requests to any origin other than the given ones and this service.
  const headers = pageHeaders([
    `script-src 'self'`,
    `style-src 'self'`,
    `img-src 'self'`,
    `connect-src 'self' ${origins.join(' ')}`,
  ]);
  const html = page(files, config);

  return async (event: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> => {
    if (event.routeKey === 'GET /') {
      return { statusCode: 302, headers: { ...headers, Location: '/console', 'Cache-Control': 'no-store' } };
    }
    if (event.routeKey === 'GET /console/assets/{file}') return asset(event);
    return {
      statusCode: 200,
      headers: { ...headers, 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' },
      body: html,
    };
  };

  function asset({
    pathParameters,
    headers: requestHeaders,
  }: APIGatewayProxyEventV2): APIGatewayProxyStructuredResultV2 {
    const name = pathParameters?.file ?? '';
    const gzipped = Object.hasOwn(files.assets, name) ? files.assets[name] : undefined;
    const type = TYPES[name.split('.').at(-1) ?? ''];
    if (gzipped === undefined || type === undefined) {
      return {
        statusCode: 404,
        headers: { ...headers, 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' },
        body: 'No such file.',
      };
    }
    const ofFile = {
      ...headers,
      'Content-Type': type,
      // The file's name changes with its content, so caches can keep it forever.
      'Cache-Control': 'public, max-age=31536000, immutable',
      Vary: 'Accept-Encoding',
    };
    return /\bgzip\b/.test(requestHeaders['accept-encoding'] ?? '')
      ? {
          statusCode: 200,
          headers: { ...ofFile, 'Content-Encoding': 'gzip' },
          body: gzipped,
          isBase64Encoded: true,
        }
      : { statusCode: 200, headers: ofFile, body: gunzipSync(Buffer.from(gzipped, 'base64')).toString() };
  }
}

function page({ script, style, icon }: ConsoleFiles, config: PageConfig): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<meta name="console" content="${escaped(JSON.stringify(config))}">
<title>Deployment API Keys</title>
<link rel="icon" href="/console/assets/${icon}" type="image/svg+xml">
<link rel="stylesheet" href="/console/assets/${style}">
<script type="module" src="/console/assets/${script}"></script>
</head>
<body>
<div id="app"></div>
<noscript>The console needs JavaScript. The same can be done with the API: see its documentation.</noscript>
</body>
</html>
`;
}
