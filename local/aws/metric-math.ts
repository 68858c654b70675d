/** The values of a metric in consecutive periods, newest first; undefined for a period without data. */
export type Series = readonly (number | undefined)[];

type Value = number | Series | readonly Series[];

const OPERATIONS: Record<string, (left: number, right: number) => number> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => left / right,
};

/**
 * Evaluates an expression in CloudWatch's metric math: numbers, the IDs of metrics, `+ - * /`, parentheses, `FILL` with
 * a number, and `MAX` of several metrics.
 *
 * @param metrics the values of each metric by ID
 * @throws Error for anything else in the expression
 */
export function evaluate(expression: string, metrics: ReadonlyMap<string, Series>): Series {
  const tokens = expression.match(/\d+(?:\.\d+)?|\w+|[^\s\w]/g) ?? [];
  let at = 0;
  const value = sum();
  if (at < tokens.length || typeof value === 'number' || isList(value)) throw unknown(tokens[at] ?? '');
  return value;

  function unknown(token: string): Error {
    return new Error(
      `The local runner does not know ${JSON.stringify(token)} in the expression ${expression}.`,
    );
  }

  function take(token: string): void {
    if (tokens[at] !== token) throw unknown(tokens[at] ?? '');
    at += 1;
  }

  function sum(): Value {
    return chain(product, '+', '-');
  }

  function product(): Value {
    return chain(operand, '*', '/');
  }

  function chain(next: () => Value, ...signs: string[]): Value {
    let left = next();
    while (signs.includes(tokens[at] ?? '')) {
      const sign = tokens[at++] ?? '';
      left = combined(OPERATIONS[sign] as (left: number, right: number) => number, left, next());
    }
    return left;
  }

  function operand(): Value {
    const token = tokens[at++] ?? '';
    if (/^\d/.test(token)) return Number(token);
    if (token === '(') return closed(sum(), ')');
    if (token === '[') return closed(list(), ']');
    if (token === 'FILL' || token === 'MAX') {
      take('(');
      return closed(token === 'FILL' ? filled() : greatest(), ')');
    }
    const metric = metrics.get(token);
    if (!metric) throw unknown(token);
    return metric;
  }

  function closed(value: Value, bracket: string): Value {
    take(bracket);
    return value;
  }

  function list(): readonly Series[] {
    const items = [series(sum())];
    while (tokens[at] === ',') {
      at += 1;
      items.push(series(sum()));
    }
    return items;
  }

  function filled(): Series {
    const values = series(sum());
    take(',');
    const replacement = sum();
    if (typeof replacement !== 'number') throw unknown('FILL');
    return values.map((item) => item ?? replacement);
  }

  function greatest(): Series {
    const items = sum();
    if (!isList(items)) throw unknown('MAX');
    return (items[0] ?? []).map((_, n) => {
      const values = items.map((item) => item[n]).filter((item) => item !== undefined);
      return values.length === 0 ? undefined : Math.max(...values);
    });
  }

  function series(item: Value): Series {
    if (typeof item === 'number' || isList(item)) throw unknown(String(item));
    return item;
  }

  /** Combines the values of each period. There is no result for a period in which one side has no value. */
  function combined(operation: (left: number, right: number) => number, left: Value, right: Value): Value {
    if (isList(left) || isList(right)) throw unknown('[');
    if (typeof left === 'number' && typeof right === 'number') return operation(left, right);
    const length = Math.max(
      typeof left === 'number' ? 0 : left.length,
      typeof right === 'number' ? 0 : right.length,
    );
    return Array.from({ length }, (_, n) => {
      const [a, b] = [left, right].map((side) => (typeof side === 'number' ? side : side[n]));
      return a === undefined || b === undefined ? undefined : operation(a, b);
    });
  }
}

const isList = (value: Value): value is readonly Series[] =>
  typeof value !== 'number' && Array.isArray(value[0]);
