type Json = unknown;

/**
 * Compiles the filter criteria of an event source mapping. An event passes if it matches any of the patterns.
 *
 * @param patterns patterns from the template, as JSON text. Without patterns, every event passes.
 * @throws Error for a rule that is not emulated, so that no filter is wider or narrower here than on AWS
 */
export function compileFilter(patterns: readonly string[]): (event: Json) => boolean {
  const compiled = patterns.map((pattern) => compile(JSON.parse(pattern)));
  return (event) => compiled.length === 0 || compiled.some((passes) => passes(event));
}

type Rule = (value: Json) => boolean;

function compile(pattern: Json): Rule {
  if (Array.isArray(pattern)) {
    const rules = pattern.map(compileRule);
    return (value) => {
      const values = Array.isArray(value) ? value : [value];
      return rules.some((rule) => values.some(rule));
    };
  }
  if (typeof pattern !== 'object' || pattern === null) throw unknownRule(pattern);
  const fields = Object.entries(pattern).map(([name, inner]) => {
    if (name.startsWith('$')) throw unknownRule({ [name]: inner });
    return [name, compile(inner)] as const;
  });
  return (value) => fields.every(([name, passes]) => passes(fieldOf(value, name)));
}

function fieldOf(value: Json, name: string): Json {
  const isObject = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
  return isObject ? (value as Record<string, Json>)[name] : undefined;
}

function compileRule(rule: Json): Rule {
  if (typeof rule !== 'object' || rule === null) return (value) => value === rule;
  const [[name, argument] = [], ...more] = Object.entries(rule);
  if (more.length > 0) throw unknownRule(rule);
  switch (name) {
    case 'prefix':
      if (typeof argument !== 'string') break;
      return (value) => typeof value === 'string' && value.startsWith(argument);
    case 'anything-but': {
      const isPlain = [argument].flat().every((item) => ['string', 'number'].includes(typeof item));
      if (!isPlain) break;
      return (value) => value !== undefined && ![argument].flat().includes(value);
    }
    case 'exists':
      return (value) => (value !== undefined) === argument;
    case 'numeric':
      return compileNumeric(argument);
  }
  throw unknownRule(rule);
}

const COMPARISONS: Record<string, (a: number, b: number) => boolean> = {
  '=': (a, b) => a === b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

/**
 * Compiles `["<", 10]` or `[">", 0, "<=", 5]`. These rules compare JSON numbers. DynamoDB's numbers are strings, and
 * therefore never match.
 */
function compileNumeric(argument: Json): Rule {
  const parts = Array.isArray(argument) ? argument : [];
  const isWhole = parts.length === 2 || parts.length === 4;
  const checks = [0, 2].slice(0, parts.length / 2).map((at): Rule => {
    const compare = COMPARISONS[String(parts[at])];
    const bound = parts[at + 1];
    if (!compare || typeof bound !== 'number') throw unknownRule({ numeric: argument });
    return (value) => typeof value === 'number' && compare(value, bound);
  });
  if (!isWhole) throw unknownRule({ numeric: argument });
  return (value) => checks.every((check) => check(value));
}

const unknownRule = (rule: Json) =>
  new Error(`The local runner does not know the filter rule ${JSON.stringify(rule)}.`);
