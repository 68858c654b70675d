import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { openApiDocument } from '../../functions/openapi/document.ts';

// biome-ignore lint/suspicious/noExplicitAny: the document is JSON, and is walked as such
type Json = any;

const document: Json = openApiDocument();
const ajv = new Ajv2020({ strict: false, allErrors: true });
// The package is CommonJS, so its default export is the whole module.
(formats as unknown as typeof formats.default)(ajv);
ajv.addSchema(document, 'openapi');

/**
 * Lists the ways in which a value violates a schema of the OpenAPI document.
 * @param pointer JSON pointer to the schema
 */
export function faultsOf(pointer: string, value: unknown): string[] {
  const validate = ajv.compile({ $ref: `openapi#${pointer}` });
  return validate(value)
    ? []
    : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
}

/** A media type of a request or response in the OpenAPI document. */
export interface Content {
  /** Name, such as `POST /oauth/token 200 application/json`. */
  readonly name: string;
  /** JSON pointer to the schema of the body. */
  readonly schema: string;
  readonly examples: readonly (readonly [name: string, value: unknown])[];
}

/** Returns every media type in the OpenAPI document. */
export function contents(): Content[] {
  return operations().flatMap(({ name, pointer, operation }) => [
    ...contentsOf(`${name} request`, `${pointer}/requestBody`, operation.requestBody),
    ...Object.entries<Json>(operation.responses).flatMap(([status, response]) => {
      const [at, found] = resolved(`${pointer}/responses/${status}`, response);
      return contentsOf(`${name} ${status}`, at, found);
    }),
  ]);
}

/** A parameter of an operation in the OpenAPI document. */
export interface Parameter {
  /** Name, such as `GET /deployments query limit`. */
  readonly name: string;
  /** JSON pointer to the schema of the parameter. */
  readonly schema: string;
  /** The example of the parameter; undefined if the parameter has none. */
  readonly example: unknown;
}

/** Returns every parameter in the OpenAPI document. */
export function parameters(): Parameter[] {
  return operations().flatMap(({ name, pointer, operation: { parameters = [] } }) =>
    parameters.map((parameter: Json, index: number) => {
      const reference = parameter.$ref?.split('/').at(-1);
      const found = reference ? document.components.parameters[reference] : parameter;
      const of = found.schema.$ref
        ? document.components.schemas[found.schema.$ref.split('/').at(-1)]
        : found.schema;
      return {
        name: `${name} ${found.in} ${found.name}`,
        schema: reference
          ? `/components/parameters/${reference}/schema`
          : `${pointer}/parameters/${index}/schema`,
        example: found.example ?? of.example,
      };
    }),
  );
}

/**
 * Lists the parts of a response that the OpenAPI document does not allow: its status, media type or body.
 *
 * @param route route key in the template, such as `GET /deployments/{deploymentId}`
 */
export function undocumented(
  route: string,
  reply: { status: number; headers: Record<string, string>; json?: unknown; text?: string },
) {
  const found = operations().find(({ name }) => name === route);
  const response = found?.operation.responses[reply.status];
  if (!found || !response) return [`${route} is not documented to answer ${reply.status}`];
  const [at, { content = {} }] = resolved(`${found.pointer}/responses/${reply.status}`, response);
  const type = reply.headers['content-type']?.split(';')[0] ?? '';
  const body = type === 'text/html' ? reply.text : reply.json;
  if (body === undefined) return Object.keys(content).length > 0 ? [`${route} lacks its body`] : [];
  if (!content[type]) return [`${route} ${reply.status} is not documented to be ${type}`];
  return faultsOf(`${at}/content/${escaped(type)}/schema`, body);
}

const escaped = (key: string) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'));

function operations() {
  return Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      pointer: `/paths/${escaped(path)}/${method}`,
      operation,
    })),
  );
}

/** Returns a response and its JSON pointer. Follows a reference to a shared response. */
function resolved(pointer: string, response: Json): [pointer: string, response: Json] {
  const name = response.$ref?.split('/').at(-1);
  return name ? [`/components/responses/${name}`, document.components.responses[name]] : [pointer, response];
}

function contentsOf(name: string, pointer: string, of: Json): Content[] {
  return Object.entries<Json>(of?.content ?? {}).map(([type, { example, examples = {} }]) => ({
    name: `${name} ${type}`,
    schema: `${pointer}/content/${escaped(type)}/schema`,
    examples: [
      ...(example === undefined ? [] : [['example', example] as const]),
      ...Object.entries<Json>(examples).map(([key, { value }]) => [key, value] as const),
    ],
  }));
}
