import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { expect, it } from 'vitest';
import { issuerOf } from '../../functions/http/issuer.ts';

const eventOf = (domainName: string, headers: Record<string, string> = {}) =>
  ({ headers, requestContext: { domainName } }) as unknown as APIGatewayProxyEventV2;

it.each(['abc123.execute-api.eu-west-1.amazonaws.com', 'keys.example.com'])(
  "30: the issuer is an https URL with the request's domain, regardless of the headers: %s",
  (domainName) => {
    const forged = { 'x-forwarded-proto': 'http', 'x-forwarded-host': 'evil.test', host: 'evil.test' };
    expect(issuerOf(eventOf(domainName), undefined)).toBe(`https://${domainName}`);
    expect(issuerOf(eventOf(domainName, forged), undefined)).toBe(`https://${domainName}`);
  },
);

it.each(['127.0.0.1:8787', '127.100.200.30', 'localhost', 'localhost:8787', '[::1]:8787'])(
  "the issuer is an http URL only if the request's domain is local: %s",
  (host) => {
    expect(issuerOf(eventOf(host, { 'x-forwarded-proto': 'http' }), undefined)).toBe(`http://${host}`);
    expect(issuerOf(eventOf(host, { 'x-forwarded-proto': 'https' }), undefined)).toBe(`https://${host}`);
  },
);

it("the issuer is the stack's public URL if the stack has one", () => {
  const event = eventOf('abc123.execute-api.eu-west-1.amazonaws.com');
  expect(issuerOf(event, 'https://keys.example.com')).toBe('https://keys.example.com');
});

it.each([
  '127.0.0.1.evil.test',
  'localhost.evil.test',
  'evil.test:8787',
  'evil.localhost',
  'x127.0.0.1:8787',
])('the issuer is an https URL if the domain only resembles a local one: %s', (host) => {
  expect(issuerOf(eventOf(host, { 'x-forwarded-proto': 'http' }), undefined)).toBe(`https://${host}`);
});
