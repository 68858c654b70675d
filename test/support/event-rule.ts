import type { Json } from './template.ts';

/** An entry in a PutEvents request. */
interface Entry {
  readonly Source: string;
  readonly DetailType: string;
  readonly Detail: string;
}

/**
 * Returns the inputs that the targets of the template's rules get for an entry. Of EventBridge, it supports only what
 * the example uses: patterns of `source` and `detail-type`, and input transformers with paths in dot notation. As in
 * EventBridge, values are inserted into text without escaping.
 */
export function inputsOf(
  rules: Json[],
  { Source, DetailType, Detail }: Entry,
): { target: Json; input: string }[] {
  const event: Json = { source: Source, 'detail-type': DetailType, detail: JSON.parse(Detail) };
  return rules
    .filter(({ Properties: { EventPattern } }) =>
      Object.entries<string[]>(EventPattern).every(([name, values]) => values.includes(event[name])),
    )
    .flatMap(({ Properties: { Targets } }) => Targets)
    .filter(({ InputTransformer }) => InputTransformer)
    .map((target) => {
      const { InputPathsMap, InputTemplate } = target.InputTransformer;
      const input = InputTemplate.replace(/<([\w-]+)>/g, (_: string, name: string) =>
        valueAt(event, InputPathsMap[name]),
      );
      return { target, input };
    });
}

function valueAt(event: Json, path: string): string {
  const value = path
    .split('.')
    .slice(1)
    .reduce((at, name) => at?.[name], event);
  if (typeof value !== 'string') throw new Error(`The event has no text at ${path}.`);
  return value;
}
