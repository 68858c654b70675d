import type { ServedRequest } from './api-gateway/served-request.ts';
import type { LogLine } from './lambda/worker-pool.ts';
import { paint, printable, withoutSecrets } from './terminal.ts';

/** Formats a request for people: `POST /oauth/token 401 invalid_client 12 ms`. */
export function requestLine(
  { method, path, status, code, milliseconds }: ServedRequest,
  stream: NodeJS.WriteStream,
): string {
  const colour = status >= 500 ? 'red' : status >= 400 ? 'yellow' : status >= 300 ? 'cyan' : 'green';
  return [
    paint(stream, 'bold', method),
    path,
    paint(stream, colour, [status, code].filter(Boolean).join(' ')),
    paint(stream, 'dim', `${Math.round(milliseconds)} ms`),
  ].join(' ');
}

/** Formats a request as a line of JSON. */
export const requestJson = ({ milliseconds, ...request }: ServedRequest): string =>
  JSON.stringify({ time: new Date().toISOString(), ...request, ms: Math.round(milliseconds) });

/**
 * Formats a function's output for people, with the function's name in front of each line. Leaves out what the request
 * lines make needless: log lines below the level WARN, metrics, and the error by which a REST API's authorizer rejects a
 * call.
 */
export const functionLines = ({ function: name, text }: LogLine): string[] =>
  linesOf(text)
    .flatMap((line) => {
      const json = objectOf(line);
      if (!json) return isRejection(line) ? [] : [line];
      const isRoutine = '_aws' in json || ['TRACE', 'DEBUG', 'INFO'].includes(String(json.level));
      return isRoutine ? [] : [readable(json)];
    })
    .flatMap((part) => part.split('\n'))
    .map((line) => printable(withoutSecrets(`${name}: ${line.replaceAll('\t', '  ')}`)));

/** Formats a function's output as lines of JSON: unchanged where it is JSON already. */
export const functionJson = ({ function: name, text }: LogLine): string[] =>
  linesOf(text).map((line) =>
    printable(objectOf(line) ? line : JSON.stringify({ function: name, text: line })),
  );

const linesOf = (text: string): string[] => text.split(/\r?\n/).filter((line) => line.trim() !== '');

function objectOf(line: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** API Gateway turns an error with exactly this message into a 401. */
const isRejection = (line: string): boolean => {
  const [, error] = line.split('\tERROR\tInvoke Error\t');
  return error !== undefined && objectOf(error)?.errorMessage === 'Unauthorized';
};

/** Formats a log line of the level WARN or above, with the stack trace of its error. */
function readable({ level, message, error, ...json }: Record<string, unknown>): string {
  if (typeof message !== 'string') return JSON.stringify({ level, message, error, ...json });
  const { stack } = (error ?? {}) as { stack?: unknown };
  return [`${level} ${message}`, ...(typeof stack === 'string' ? [stack] : [])].join('\n');
}
