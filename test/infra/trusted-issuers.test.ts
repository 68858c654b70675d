import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Stage } from 'aws-cdk-lib';
import { describe, expect, it } from 'vitest';
import * as ENV from '../../functions/runtime/env.ts';
import { STACK_ID, synthesise } from '../../infra/app.ts';
import { EMULATED } from '../../infra/deployable.ts';
import { ConfigError, readSettings } from '../../infra/settings.ts';
import { DeploymentKeysStack } from '../../infra/stack.ts';
import { type Json, WITH_ISSUER } from '../support/template.ts';
import { temporaryFolder } from '../support/temporary.ts';

const URL_RULE =
  'must be an https URL without query, fragment or credentials (http only for a loopback host).';
const ISSUER = 'https://git.example.com';
const GITHUB = 'https://token.actions.githubusercontent.com';

const jwkOf = (key: KeyObject, more: object = {}) => ({ ...key.export({ format: 'jwk' }), ...more });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const PUBLIC = jwkOf(ec.publicKey, { kid: 'one', alg: 'ES256', use: 'sig' });
const STRONG = 'must be a public key of RSA with 2048 bits or more, of P-256, P-384 or P-521, or of Ed25519.';
const secret = (found = '') =>
  `must be a public key, not a private or symmetric one.${found} Replace the key at the issuer: it is no longer secret.`;

/** Returns the lines of the error message for a value of the `trustedIssuers` setting. */
function faultsOf(trustedIssuers: unknown): string[] {
  try {
    readSettings({ trustedIssuers });
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}
const keys = (...list: unknown[]) => ({ issuer: ISSUER, jwks: { keys: list } });

describe('The trustedIssuers setting is validated', () => {
  it('trustedIssuers accepts a mixture of URLs and objects, both as JSON and in cdk.json', () => {
    const entries = [
      GITHUB,
      { issuer: ISSUER, preset: 'gitlab', bind: ['project_id'], audience: 'keys' },
      { issuer: 'https://10.0.0.1', jwks: { keys: [PUBLIC] } },
    ];
    expect(readSettings({ trustedIssuers: entries }).trustedIssuers).toEqual(entries);
    expect(readSettings({ trustedIssuers: JSON.stringify(entries) }).trustedIssuers).toEqual(entries);
    expect(readSettings({ trustedIssuers: `${GITHUB},${ISSUER}` }).trustedIssuers).toEqual([GITHUB, ISSUER]);
  });

  it.each<[fault: unknown, lines: string[]]>([
    [
      [{ issuer: ISSUER, preset: 'gitlabb' }],
      [
        'trustedIssuers[0].preset: "gitlabb" is not a preset. Did you mean gitlab? ' +
          'The presets are github, gitlab, buildkite, circleci, kubernetes, eks, aws.',
      ],
    ],
    [
      [ISSUER, { issuer: ISSUER, preset: 'constructor' }],
      [
        'trustedIssuers[1].preset: "constructor" is not a preset. ' +
          'The presets are github, gitlab, buildkite, circleci, kubernetes, eks, aws.',
      ],
    ],
    [
      [{ issuer: GITHUB, preset: 'gitlab' }],
      ['trustedIssuers[0].preset: must be github for this issuer, or left out.'],
    ],
    [
      [{ issuer: `${GITHUB}/acme`, preset: 'kubernetes' }],
      ['trustedIssuers[0].preset: must be github for this issuer, or left out.'],
    ],
    [
      [GITHUB, ISSUER, { issuer: GITHUB, bind: ['ref'] }],
      [`trustedIssuers[2].issuer: trustedIssuers[0] already names the issuer ${GITHUB}. Remove one of them.`],
    ],
    [
      `${ISSUER},${ISSUER}`,
      [`trustedIssuers[1]: trustedIssuers[0] already names the issuer ${ISSUER}. Remove one of them.`],
    ],
    [
      [{ issuer: ISSUER }, 'https://GIT.example.com/'],
      [`trustedIssuers[1]: trustedIssuers[0] already names the issuer ${ISSUER}. Remove one of them.`],
    ],
    [[{ issuer: 'http://git.example.com' }], [`trustedIssuers[0].issuer: ${URL_RULE}`]],
    [[{ preset: 'gitlab' }], [`trustedIssuers[0].issuer: ${URL_RULE}`]],
    ['git.example.com', [`trustedIssuers[0]: ${URL_RULE}`]],
    [[7], ['trustedIssuers[0]: must be a URL, or an object with issuer.']],
    [
      [{ issuer: ISSUER, Bind: ['sub'] }],
      [
        'trustedIssuers[0].Bind: is not a field of an issuer. The fields are issuer, preset, jwks, bind, audience.',
      ],
    ],
    ...[[], 'sub', [''], ['sub', 'sub'], [7], ['a\nb'], Array.from({ length: 11 }, (_, at) => `c${at}`)].map(
      (bind): [unknown, string[]] => [
        [{ issuer: ISSUER, bind }],
        ['trustedIssuers[0].bind: must be an array of 1 to 10 different names of claims.'],
      ],
    ),
    [[{ issuer: ISSUER, bind: ['aud'] }], ['trustedIssuers[0].bind: must not name the claim aud.']],
    [[{ issuer: ISSUER, bind: ['toString'] }], ['trustedIssuers[0].bind: must not name the claim toString.']],
    ...['', 7, 'a\nb', 'x'.repeat(257)].map((audience): [unknown, string[]] => [
      [{ issuer: ISSUER, audience }],
      ['trustedIssuers[0].audience: must be a text of 1 to 256 characters, without control characters.'],
    ]),
    [
      [{ issuer: 'https://vstoken.dev.azure.com/1', bind: ['prj_id'] }],
      [
        'trustedIssuers[0].audience: Azure DevOps needs an entry with audience, because its tokens do not name this ' +
          'service by themselves. Set audience to the aud claim of its tokens.',
      ],
    ],
    [
      'https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc',
      [
        'trustedIssuers[0]: Bitbucket needs an entry with audience, because its tokens do not name this service by ' +
          'themselves. Set audience to the aud claim of its tokens.',
      ],
    ],
    ...[{}, [], { keys: [] }, { keys: {} }, 'x', { keys: Array(11).fill(PUBLIC) }].map(
      (jwks): [unknown, string[]] => [
        [{ issuer: ISSUER, jwks }],
        ['trustedIssuers[0].jwks: must be a JSON Web Key Set: {"keys": […]} with 1 to 10 public keys.'],
      ],
    ),
    [
      [keys(jwkOf(ec.privateKey, { kid: 'one' }))],
      [`trustedIssuers[0].jwks.keys[0]: ${secret(' It has d.')}`],
    ],
    [
      [keys(PUBLIC, jwkOf(rsa.privateKey, { kid: 'two' }))],
      [`trustedIssuers[0].jwks.keys[1]: ${secret(' It has d, p, q, dp, dq, qi.')}`],
    ],
    [
      [keys({ kty: 'oct', k: 'c2VjcmV0', kid: 'one' })],
      [`trustedIssuers[0].jwks.keys[0]: ${secret(' It has k.')}`],
    ],
    [[keys({ kty: 'oct' })], [`trustedIssuers[0].jwks.keys[0]: ${secret()}`]],
    [
      [keys({ ...PUBLIC, use: 'enc' })],
      ['trustedIssuers[0].jwks.keys[0]: must be a key for signatures: use is sig, or absent.'],
    ],
    [
      [keys(jwkOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey))],
      [`trustedIssuers[0].jwks.keys[0]: ${STRONG}`],
    ],
    [[keys(jwkOf(generateKeyPairSync('x25519').publicKey))], [`trustedIssuers[0].jwks.keys[0]: ${STRONG}`]],
    [
      [keys(jwkOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey))],
      [`trustedIssuers[0].jwks.keys[0]: ${STRONG}`],
    ],
    [[keys({ ...PUBLIC, x: 'AAAA' })], [`trustedIssuers[0].jwks.keys[0]: ${STRONG}`]],
    [[keys('key')], ['trustedIssuers[0].jwks.keys[0]: must be a JSON Web Key.']],
    [[keys(PUBLIC, jwkOf(rsa.publicKey))], ['trustedIssuers[0].jwks.keys[1]: must have a kid.']],
    [
      [keys(PUBLIC, jwkOf(rsa.publicKey, { kid: 'one' }))],
      ['trustedIssuers[0].jwks.keys[1]: must have another kid than keys[0].'],
    ],
  ])('the error for an invalid entry of trustedIssuers names the field and its rule: %j', (given, lines) => {
    expect(faultsOf(given)).toEqual(lines);
  });

  it.each(['[', '[]', '', [], {}, Array.from({ length: 11 }, (_, at) => `https://ci${at}.example.com`)])(
    'the error for a value of trustedIssuers that is not a list states the rule for the list: %j',
    (given) => {
      const [line, ...more] = faultsOf(given);
      const isUrl = given === '';
      expect(more).toEqual([]);
      expect(line).toBe(
        isUrl
          ? `trustedIssuers[0]: ${URL_RULE}`
          : 'trustedIssuers must be none, 1 to 10 different https URLs between commas (http only for a loopback host), ' +
              'or a JSON array of URLs and of objects with issuer, for example -c trustedIssuers=' +
              'https://token.actions.githubusercontent.com.',
      );
    },
  );

  it('an error about trustedIssuers does not contain private keys', () => {
    const { d, ...rest } = jwkOf(ec.privateKey) as Record<string, string>;
    for (const key of [
      { ...rest, d },
      { ...rest, d, kty: 'oct' },
      { ...rest, kty: d, k: d },
    ]) {
      const text = faultsOf([keys(key)]).join('\n');
      expect(text).toContain('private or symmetric');
      expect(text).not.toContain(d);
    }
  });
});

/** Returns the functions of a stack in an output folder, by name, each with its code and its environment. */
function functionsIn(outdir: string, { template }: { readonly template: Json }): Map<string, Json> {
  const found = Object.values<Json>(template.Resources).flatMap((resource) => {
    const path = resource.Metadata?.['aws:asset:path'];
    if (resource.Type !== 'AWS::Lambda::Function' || path === undefined) return [];
    const { Handler: handler, Environment: environment } = resource.Properties;
    const [file = ''] = handler.split('.');
    const entry = file === 'entry' ? readFileSync(join(outdir, path, 'entry.mjs'), 'utf8') : '';
    const index = readFileSync(join(outdir, path, 'index.js'), 'utf8');
    const name = resource.Metadata['aws:cdk:path'].split('/').at(-3);
    return [[name, { handler, entry, index, variables: environment?.Variables ?? {}, asset: path }] as const];
  });
  return new Map(found);
}

/** Returns the functions of a stack. */
function functionsOf(
  trustedIssuers: unknown,
  more: object = {},
  outdir = temporaryFolder('issuers'),
): Map<string, Json> {
  const assembly = synthesise({ ...WITH_ISSUER, trustedIssuers, ...more }, outdir);
  return functionsIn(outdir, assembly.getStackArtifact(STACK_ID));
}

/** Returns the public keys in a function's code, by issuer. */
function keysIn({ entry }: Json): Json {
  const [, json = ''] = /^Object\.assign\(process\.env, (.*)\);$/m.exec(entry) ?? [];
  return JSON.parse(JSON.parse(json)[ENV.issuerKeys]);
}

describe('A stack accepts trusted issuers with inline keys', () => {
  const big = generateKeyPairSync('rsa', { modulusLength: 4096 }).publicKey;
  const issuers = Array.from({ length: 3 }, (_, at) => ({
    issuer: `https://jenkins-${at}.corp.internal/oidc`,
    bind: ['sub', 'job'],
    audience: 'keys',
    jwks: { keys: ['a', 'b', 'c'].map((kid) => ({ ...jwkOf(big, { kid }), x5c: ['not needed'] })) },
  }));
  const plain = functionsOf(GITHUB);
  const inline = functionsOf([GITHUB, ...issuers], { [EMULATED]: false });
  const verifying = ['IssueToken', 'ManageKeys'];

  it('inline keys are deployed only with the code of functions that verify tokens', () => {
    for (const [name, { handler, entry, index, asset }] of inline) {
      const before = plain.get(name);
      expect(index).toBe(before.index);
      if (!verifying.includes(name)) {
        expect([name, handler, asset]).toEqual([name, before.handler, before.asset]);
        continue;
      }
      expect(handler).toBe('entry.handler');
      const sets = keysIn({ entry });
      expect(Object.keys(sets)).toEqual(issuers.map(({ issuer }) => issuer));
      const { n, e } = jwkOf(big) as Record<string, string>;
      expect(sets[issuers[0]?.issuer ?? ''].keys[0]).toEqual({ kty: 'RSA', n, e, kid: 'a' });
    }
  });

  it('inline keys are not put into environment variables, which are limited to 4 KB', () => {
    for (const name of verifying) {
      const { variables } = inline.get(name);
      expect(JSON.stringify(variables)).not.toContain('jwks');
      expect(JSON.parse(variables[ENV.trustedIssuers])).toEqual([
        GITHUB,
        ...issuers.map(({ jwks: _, ...entry }) => ({ ...entry, hasInlineKeys: true })),
      ]);
    }
  });

  it('synthesis rejects an issuer that has no inline keys and cannot be reached from the internet', () => {
    const unreachable = [...issuers, { issuer: 'https://git.corp.internal', preset: 'gitlab' }];
    expect(() => functionsOf(unreachable, { [EMULATED]: false })).toThrow(
      /^trustedIssuers must have a public host name/,
    );
  });

  const [first, second] = ['first', 'second'].map((kid) =>
    jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey, { kid }),
  );
  const setOf = (key: unknown) => ({ [ISSUER]: { keys: [key] } });

  it('a second synthesis into the same output folder deploys the new inline keys', () => {
    const outdir = temporaryFolder('issuers');
    for (const key of [first, second, first]) {
      const functions = functionsOf([keys(key)], {}, outdir);
      for (const name of verifying) expect(keysIn(functions.get(name))).toEqual(setOf(key));
    }
  });

  it('each stage of an app deploys its own inline keys', () => {
    const stages = { Beta: first, Gamma: second };
    const assembly = synthesise(WITH_ISSUER, temporaryFolder('issuers'), (app) => {
      for (const [id, key] of Object.entries(stages)) {
        const settings = { ...WITH_ISSUER, trustedIssuers: JSON.stringify([keys(key)]) };
        new DeploymentKeysStack(new Stage(app, id), STACK_ID, { settings });
      }
    });
    for (const [id, key] of Object.entries(stages)) {
      const { directory, stacks } = assembly.getNestedAssembly(`assembly-${id}`);
      const functions = functionsIn(directory, stacks[0] as Json);
      for (const name of verifying) expect(keysIn(functions.get(name))).toEqual(setOf(key));
    }
  });
});
