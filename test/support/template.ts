import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { STACK_ID, synthesise } from '../../infra/app.ts';

/** Context of a stack that signs people in with somebody's issuer. */
export const WITH_ISSUER = {
  issuer: 'https://login.example.com/realms/staff',
  audience: 'deployment-keys',
  adminGroup: 'platform-admins',
};

// biome-ignore lint/suspicious/noExplicitAny: a template is JSON, and a test asserts what it finds there.
export type Json = any;

let isBundled = false;

/** Synthesises as the app does, with the functions bundled once in a process. */
export function synthesiseTo(outdir: string, context: Readonly<Record<string, unknown>>): CloudAssembly {
  const assembly = synthesise(context, outdir, { bundle: !isBundled });
  isBundled = true;
  return assembly;
}

const templates = new Map<string, Template>();

/** The template that this context gives, made once in a process. */
export function templateOf(context: Readonly<Record<string, unknown>> = {}): Template {
  const key = JSON.stringify(context);
  const made = templates.get(key) ?? synthesiseAside(context);
  templates.set(key, made);
  return made;
}

function synthesiseAside(context: Readonly<Record<string, unknown>>): Template {
  const outdir = mkdtempSync(join(tmpdir(), 'template-'));
  try {
    return Template.fromJSON(synthesiseTo(outdir, context).getStackArtifact(STACK_ID).template);
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

/** The resource that the construct of this path made, without the stack's ID and the last part, `Resource`. */
export function resourceAt(template: Template, path: string): Json {
  const resources = Object.entries<Json>(template.toJSON().Resources);
  const found = resources.find(
    ([, resource]) => resource.Metadata?.['aws:cdk:path'] === `${STACK_ID}/${path}/Resource`,
  );
  if (!found) throw new Error(`The template has nothing at ${path}.`);
  return { id: found[0], ...found[1] };
}

/** The logical ID of the resource at a path. */
export const idAt = (template: Template, path: string): string => resourceAt(template, path).id;
