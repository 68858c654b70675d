import { Duration, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import * as ENV from '../functions/runtime/env.ts';
import type { Config, SignIn } from './config.ts';
import { type Operation, ServiceFunction } from './function.ts';
import type { Table } from './table.ts';

export interface FunctionsProps {
  readonly config: Config;
  readonly signIn: SignIn;
  readonly table: Table;
}

export type Functions = ReturnType<typeof addFunctions>;

/** Every function of the service: what it is for, its limits, what it is told, what it may do. */
export function addFunctions(scope: Construct, { config, signIn, table }: FunctionsProps) {
  const operation: Operation = {
    retainLogs: config.stage === 'production',
    logRetention: config.logRetention,
    tracing: config.tracing,
  };
  const scopes = { [ENV.scopes]: config.scopes.join(' ') };
  const tokens = {
    [ENV.tokenLifetime]: String(config.tokenLifetime),
    [ENV.slideInterval]: String(config.slideInterval),
    [ENV.maxTokenLifetime]: config.maxTokenLifetime?.toString(),
    [ENV.lastUsedFrom]: config.lastUsedFrom,
    ...scopes,
  };
  const named = { [ENV.publicUrl]: config.domain && `https://${config.domain.name}` };
  const idle = { [ENV.maxIdleDays]: config.maxIdleDays?.toString() };
  const trust = { [ENV.trustedIssuers]: config.trustedIssuers.join(' ') || undefined };
  const metrics = { [ENV.stackName]: Stack.of(scope).stackName };
  const { deploymentsSource } = config;
  const sourced = {
    // Where it is made in the same app, its ARNs are known only when it is deployed.
    [ENV.deploymentsSource]: deploymentsSource && Stack.of(scope).toJsonString(deploymentsSource),
  };
  const people = {
    [ENV.groupsClaim]: signIn.groupsClaim,
    [ENV.adminGroup]: signIn.adminGroup,
    [ENV.adminScope]: signIn.adminScope,
    [ENV.platformPrincipals]: config.platformPrincipals?.join(' '),
  };

  const authorize = new ServiceFunction(scope, 'authorize', {
    description: 'Checks an access token for the APIs behind it, and slides it',
    timeout: Duration.seconds(5),
    environment: { ...tokens, ...metrics },
    reservedConcurrency: config.authorizerConcurrency?.reserved,
    ...operation,
  });
  table.grantCheck(authorize);

  const whoami = new ServiceFunction(scope, 'whoami', {
    description: 'Checks an access token, slides it and says whose it is',
    timeout: Duration.seconds(5),
    environment: { ...tokens, ...metrics },
    ...operation,
  });
  table.grantCheck(whoami);

  const issueToken = new ServiceFunction(scope, 'issue-token', {
    description: 'Swaps the ID and secret of a key for an access token',
    timeout: Duration.seconds(10),
    environment: { ...tokens, ...metrics, ...idle, ...trust, ...named },
    ...operation,
  });
  table.grantIssue(issueToken);

  const introspect = new ServiceFunction(scope, 'introspect', {
    description: 'Tells a key what a token of its Deployment may do',
    timeout: Duration.seconds(10),
    environment: { ...tokens, ...metrics, ...named, ...idle },
    ...operation,
  });
  table.grantIntrospect(introspect);

  const revoke = new ServiceFunction(scope, 'revoke', {
    description: 'Deletes a token that its key gives up',
    timeout: Duration.seconds(10),
    environment: { ...metrics, ...idle },
    ...operation,
  });
  table.grantRevoke(revoke);

  const metadata = new ServiceFunction(scope, 'metadata', {
    description: 'Tells OAuth clients where the token service answers',
    timeout: Duration.seconds(5),
    environment: { ...scopes, ...named, ...trust },
    ...operation,
  });

  const manageDeployments = new ServiceFunction(scope, 'manage-deployments', {
    description: 'Registers, lists, changes and deletes Deployments',
    timeout: Duration.seconds(10),
    environment: { ...people, ...sourced, ...metrics },
    ...operation,
  });
  table.grantManageDeployments(manageDeployments);

  const manageKeys = new ServiceFunction(scope, 'manage-keys', {
    description: 'Makes, lists, changes and deletes the keys of a Deployment',
    timeout: Duration.seconds(10),
    environment: { ...people, ...scopes, ...idle, ...trust, ...metrics },
    ...operation,
  });
  table.grantManageKeys(manageKeys);

  const manageTemporaryTokens = new ServiceFunction(scope, 'manage-temporary-tokens', {
    description: 'Issues, lists and revokes the temporary tokens of people',
    timeout: Duration.seconds(10),
    environment: { ...people, ...scopes, ...metrics },
    ...operation,
  });
  table.grantManageTemporaryTokens(manageTemporaryTokens);

  const listEvents = new ServiceFunction(scope, 'list-events', {
    description: 'Lists what happened to a Deployment',
    timeout: Duration.seconds(10),
    environment: { ...people, ...metrics },
    ...operation,
  });
  table.grantListEvents(listEvents);

  const reportLeak = new ServiceFunction(scope, 'report-leak', {
    description: 'Disables the key, or revokes the token, that somebody has found',
    timeout: Duration.seconds(10),
    environment: { ...tokens, ...metrics },
    ...operation,
  });
  table.grantReportLeak(reportLeak);

  const publishEvents = new ServiceFunction(scope, 'publish-events', {
    description: 'Sends what happened to the event bus',
    timeout: Duration.seconds(30),
    ...operation,
  });

  const sweepKeys = new ServiceFunction(scope, 'sweep-keys', {
    description: 'Reports keys that expire, have expired or are idle, and rejected calls',
    timeout: Duration.minutes(15),
    environment: { ...idle, ...metrics },
    ...operation,
  });
  table.grantSweepKeys(sweepKeys);

  const purge = new ServiceFunction(scope, 'purge', {
    description: 'Deletes what a removed Deployment or key leaves behind',
    timeout: Duration.seconds(60),
    memory: 512,
    environment: metrics,
    mayWakeItself: true,
    ...operation,
  });
  table.grantPurge(purge);

  const reconcile = new ServiceFunction(scope, 'reconcile', {
    description: 'Looks through the table for what streams and markers have missed',
    timeout: Duration.minutes(5),
    memory: 512,
    environment: { ...metrics, ...sourced },
    ...operation,
  });
  table.grantReconcile(reconcile);
  if (deploymentsSource) table.grantCompareSource(reconcile);

  return {
    authorize,
    whoami,
    issueToken,
    introspect,
    revoke,
    metadata,
    manageDeployments,
    manageKeys,
    manageTemporaryTokens,
    listEvents,
    reportLeak,
    publishEvents,
    sweepKeys,
    purge,
    reconcile,
    syncDeployments: addSyncDeployments(),
    console: addConsole(),
  };

  function addSyncDeployments(): ServiceFunction | undefined {
    if (!deploymentsSource) return undefined;
    const sync = new ServiceFunction(scope, 'sync-deployments', {
      description: "Registers, changes and deletes Deployments as the platform's own table does",
      timeout: Duration.seconds(60),
      environment: { ...sourced, ...metrics },
      ...operation,
    });
    table.grantFollowSource(sync);
    return sync;
  }

  /** Without a client at the issuer nobody could sign in to it: then there is none. */
  function addConsole(): ServiceFunction | undefined {
    const { issuer, consoleClientId, consoleScopes, consoleOrigins } = signIn;
    if (!config.console || consoleClientId === undefined) return undefined;
    return new ServiceFunction(scope, 'console', {
      description: 'Hands out the console, a page for people',
      timeout: Duration.seconds(5),
      environment: {
        [ENV.issuer]: issuer,
        [ENV.consoleClientId]: consoleClientId,
        [ENV.consoleScopes]: (consoleScopes ?? ['openid', 'profile', 'email']).join(' '),
        [ENV.consoleOrigins]: consoleOrigins?.join(' '),
        ...scopes,
        ...trust,
      },
      ...operation,
    });
  }
}
