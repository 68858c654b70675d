import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { ERROR_CODES, type ErrorHelp } from '../domain/error-codes.ts';
import { escaped, pageHeaders } from '../http/page-headers.ts';

/** Caches can keep the page, because it changes only when the stack is deployed. */
const CACHE = { 'Cache-Control': 'public, max-age=3600', Vary: 'Accept-Encoding' };

const STYLE = `:root{color-scheme:light dark}
body{max-width:44rem;margin:2rem auto;padding:0 1rem;font:1rem/1.6 system-ui,sans-serif}
section{border-top:1px solid #8884;scroll-margin-top:1rem}
section:target{outline:2px solid #36c;outline-offset:.5rem}
dt{font-weight:600}dd{margin:0 0 .5rem}code{font-family:ui-monospace,monospace}nav{columns:2}`;

/**
 * Serves the API reference for clients. The `type` of an error links to the page GET /errors (RFC 9457 §3.1.1), and GET
 * /openapi.json returns the OpenAPI document. Both are public and the same for everyone.
 * @param document the OpenAPI document, as JSON
 */
export function reference(document: string) {
  const styleHash = createHash('sha256').update(STYLE).digest('base64');
  const files: Readonly<Record<string, ServedFile>> = {
    'GET /errors': {
      text: errorsPage(),
      headers: {
        ...pageHeaders([`style-src 'sha256-${styleHash}'`]),
        'Content-Type': 'text/html; charset=utf-8',
      },
    },
    'GET /openapi.json': {
      text: document,
      headers: {
        'Content-Type': 'application/json',
        'X-Content-Type-Options': 'nosniff',
        // Allows API explorers on other origins to load the document.
        'Access-Control-Allow-Origin': '*',
      },
    },
  };

  return async ({
    routeKey,
    headers,
  }: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> => {
    const file = files[routeKey];
    if (!file) throw new Error(`The reference has no route ${routeKey}.`);
    const isGzipped = /\bgzip\b/.test(headers['accept-encoding'] ?? '');
    if (!isGzipped) return { statusCode: 200, headers: { ...file.headers, ...CACHE }, body: file.text };
    file.gzipped ??= gzipSync(file.text).toString('base64');
    return {
      statusCode: 200,
      headers: { ...file.headers, ...CACHE, 'Content-Encoding': 'gzip' },
      body: file.gzipped,
      isBase64Encoded: true,
    };
  };
}

interface ServedFile {
  text: string;
  headers: Record<string, string>;
  /** The compressed text in base64, created when a client first requests it. */
  gzipped?: string;
}

function errorsPage(): string {
  const codes = Object.entries(ERROR_CODES);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Errors – Deployment API Keys</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Errors</h1>
<p>Management calls return problem details (RFC 9457), in which <code>code</code> names the error and <code>type</code> leads
to its section here. Calls to <code>/oauth/*</code> return the code in <code>error</code> (RFC 6749). <code>detail</code> and
<code>error_description</code> say what is wrong with the call.</p>
<nav aria-label="Codes"><ul>
${codes.map(([code]) => `<li><a href="#${code}"><code>${code}</code></a></li>`).join('\n')}
</ul></nav>
${codes.map(([code, help]) => section(code, help)).join('\n')}
</body>
</html>
`;
}

const section = (code: string, { meaning, causes, remedy }: ErrorHelp): string => `<section id="${code}">
<h2><code>${code}</code></h2>
<p>${escaped(meaning)}</p>
<dl>
<dt>Why it happens</dt><dd>${escaped(causes)}</dd>
<dt>What to do</dt><dd>${escaped(remedy)}</dd>
</dl>
</section>`;
