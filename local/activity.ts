import type { ServedRequest } from './api-gateway/served-request.ts';
import type { LogLine } from './lambda/worker-pool.ts';
import { paint, printable, withoutSecrets } from './terminal.ts';

/** Formats a request for people to read: `POST /oauth/token 401 invalid_client 12 ms`. */
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
 * Formats a function's output for people to read, with the function's name in front of each line. Omits output that the
 * request lines make unnecessary: log lines below level WARN, metrics, and the error with which a REST API's authorizer
 * rejects a call.
 */
export const functionLines = ({ function: name, text }: LogLine): string[] =>
  linesOf(text)
    .flatMap((line) => {
      const json = objectOf(line);
      if (!json) return isRejection(textError(line)) ? [] : [line];
      if (isRejection(json.message)) return [];
      const isRoutine = '_aws' in json || ['TRACE', 'DEBUG', 'INFO'].includes(String(json.level));
      return isRoutine ? [] : [readable(json)];
    })
    .flatMap((part) => part.split('\n'))
    .map((line) => printable(withoutSecrets(`${name}: ${line.replaceAll('\t', '  ')}`)));

/** Formats a function's output as lines of JSON. Lines that are already JSON stay unchanged. */
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
const isRejection = (error: unknown): boolean => Object(error).errorMessage === 'Unauthorized';

/** Returns the error in the line that Lambda writes when a function with the Text log format fails. */
const textError = (line: string) => objectOf(line.split('\tERROR\tInvoke Error\t')[1] ?? '');

/** Formats a log line with level WARN or above, including the stack trace of its error. */
function readable({ level, message, error, ...json }: Record<string, unknown>): string {
  // The line that Lambda itself writes about a failed call.
  const { errorType, errorMessage, stackTrace } = Object(message);
  if (Array.isArray(stackTrace))
    return [`${level} ${errorType}: ${errorMessage}`, ...stackTrace.slice(1)].join('\n');
  if (typeof message !== 'string') return JSON.stringify({ level, message, error, ...json });
  const { stack } = (error ?? {}) as { stack?: unknown };
  return [`${level} ${message}`, ...(typeof stack === 'string' ? [stack] : [])].join('\n');
}
