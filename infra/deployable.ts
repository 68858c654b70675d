import { BlockList, isIP } from 'node:net';
import { type Stack, Token } from 'aws-cdk-lib';
import { urlOf } from '../functions/domain/trust.ts';
import * as ENV from '../functions/runtime/env.ts';
import { ConfigError, exampleOf, type SettingName, type Settings } from './settings.ts';

/**
 * The context key that the emulator sets when it synthesises a stack. With this key, synthesis also accepts issuers
 * that AWS cannot reach.
 */
export const EMULATED = 'deployment-api-keys:emulated';

/**
 * Concurrency that Lambda always keeps for functions without a reservation (AWS documentation of
 * "PutFunctionConcurrency").
 */
const UNRESERVED = 100;

/**
 * Maximum size of a function's environment as JSON, in bytes, minus the space that the names of the table, stack, queue
 * and bus can take.
 */
const ENVIRONMENT = 4096 - 512;

/**
 * Top-level domains that public DNS servers do not resolve: those of RFC 6761, RFC 6762 with appendix G and RFC 8375,
 * and `internal`.
 */
const PRIVATE_DOMAINS =
  /(^|\.)(localhost|local|localdomain|test|invalid|example|internal|intranet|private|corp|home|lan|home\.arpa|onion)$/;

const PRIVATE_ADDRESSES = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  PRIVATE_ADDRESSES.addSubnet(network, bits, 'ipv4');
}
for (const [network, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
] as const) {
  PRIVATE_ADDRESSES.addSubnet(network, bits, 'ipv6');
}

/** Reports whether a host name could have an internet address, based only on the name. */
export function isPublicHost(host: string): boolean {
  const name = host.replace(/^\[|\]$|\.$/g, '');
  const version = isIP(name);
  if (version !== 0) return !PRIVATE_ADDRESSES.check(name, version === 4 ? 'ipv4' : 'ipv6');
  return name.includes('.') && !PRIVATE_DOMAINS.test(name);
}

/**
 * Rejects settings that synthesis can recognise as wrong, because the deployment would fail or the service could not
 * work.
 *
 * @param stack stack whose account and Region are checked if they are known during synthesis
 * @throws ConfigError with a line for each fault
 */
export function rejectUndeployable(settings: Settings, stack: Stack): void {
  const isEmulated = stack.node.tryGetContext(EMULATED) === true;
  const faults = [
    ...(isEmulated ? [] : unreachableIssuers(settings)),
    ...foreign(settings, stack),
    ...tooMuchConcurrency(settings),
  ];
  if (faults.length > 0) throw new ConfigError(faults.join('\n'));
}

function unreachableIssuers({ signIn, trustedIssuers }: Settings): string[] {
  const isUnreachable = (issuer: string) =>
    !Token.isUnresolved(issuer) && !(URL.canParse(issuer) && isPublicHost(new URL(issuer).hostname));
  const sentence = (name: SettingName, reader: string) =>
    `${name} must have a public host name, because ${reader} from the internet, ${exampleOf(name)}.`;
  return [
    ...(signIn && isUnreachable(signIn.issuer)
      ? [sentence('issuer', "API Gateway fetches the issuer's configuration")]
      : []),
    // An issuer with inline keys does not have to be reachable, because its keys are not fetched.
    ...(trustedIssuers.some((it) => !(typeof it === 'object' && it.jwks) && isUnreachable(urlOf(it)))
      ? [sentence('trustedIssuers', "a function fetches each issuer's keys")]
      : []),
  ];
}

/** The settings that name resources that must be in the stack's account or Region. */
function foreign(settings: Settings, { account, region }: Stack): string[] {
  const { domain, alarmTopic, encryptionKey, deploymentsSource, permissionsBoundary } = settings;
  const ofRegion: Partial<Record<SettingName, string | undefined>> = {
    alarmTopic,
    encryptionKey,
    deploymentsSource: deploymentsSource?.table,
    certificateArn: domain?.webAclArn === undefined ? domain?.certificateArn : undefined,
  };
  const isElsewhere = (arn: string | undefined, part: number, here: string) =>
    arn !== undefined && ![arn, here].some(Token.isUnresolved) && arn.split(':')[part] !== here;
  const inRegion = Object.entries(ofRegion)
    .filter(([, arn]) => isElsewhere(arn, 3, region))
    .map(([name]) => {
      const example = exampleOf(name as SettingName).replaceAll(/eu-west-1|us-east-1/g, region);
      return `${name} must be in the stack's own Region, ${region}, ${example}.`;
    });

  const ofAccount: Partial<Record<SettingName, readonly string[]>> = {
    platformPrincipals: settings.platformPrincipals ?? [],
    certificateArn: domain ? [domain.certificateArn] : [],
    webAclArn: domain?.webAclArn === undefined ? [] : [domain.webAclArn],
    permissionsBoundary:
      permissionsBoundary === undefined || permissionsBoundary.split(':')[4] === 'aws'
        ? []
        : [permissionsBoundary],
  };
  const inAccount = Object.entries(ofAccount)
    .filter(([, arns]) => arns.some((arn) => isElsewhere(arn, 4, account)))
    .map(([name]) => {
      const example = exampleOf(name as SettingName).replaceAll('111122223333', account);
      return `${name} must be of the stack's own account, ${example}.`;
    });
  return [...inRegion, ...inAccount];
}

function tooMuchConcurrency({ authorizerConcurrency, accountConcurrency }: Settings): string[] {
  if (accountConcurrency === undefined || authorizerConcurrency === undefined) return [];
  const { reserved = 0, provisioned = 0 } = authorizerConcurrency;
  if (Math.max(reserved, provisioned) + UNRESERVED <= accountConcurrency) return [];
  return [
    `authorizerConcurrency must leave at least ${UNRESERVED} of accountConcurrency, which is ${accountConcurrency}, ` +
      'to the other functions of the account. Ask for a higher quota, or leave authorizerConcurrency out.',
  ];
}

/**
 * Rejects settings that make the environment of a function too large for Lambda.
 *
 * @param file the function's name
 * @param variables variables with their values, resolved as far as synthesis knows them
 * @throws ConfigError that names the largest of these settings
 */
export function rejectLargeEnvironment(file: string, variables: object): void {
  const sizeOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
  const size = sizeOf(variables);
  if (size <= ENVIRONMENT) return;
  const [[largest] = []] = Object.entries(variables).toSorted(
    ([, one], [, other]) => sizeOf(other) - sizeOf(one),
  );
  const [setting] = Object.entries(ENV).find(([, name]) => name === largest) as [SettingName, string];
  throw new ConfigError(
    `${setting} must be shorter: the settings of the function ${file} would have ${size} bytes, and Lambda has room for ` +
      `${ENVIRONMENT}, ${exampleOf(setting)}.`,
  );
}
