import type { ComponentChildren } from 'preact';
import { ApiError } from './api.ts';
import { Failure, Heading } from './parts.tsx';
import { paths } from './paths.ts';
import type { Deployment } from './resources.ts';
import { type Loaded, useLoad, useTools } from './state.ts';

/** The subpages of a Deployment. */
const TABS = [
  { tab: 'keys', title: 'API keys', path: (id: string) => paths.keys(id) },
  { tab: 'temporary-tokens', title: 'Temporary tokens', path: paths.temporaryTokens },
  { tab: 'events', title: 'Events', path: (id: string) => paths.events(id) },
] as const;

/** Loads a Deployment. */
export function useDeployment(deploymentId: string): Loaded<Deployment> {
  const { api } = useTools();
  return useLoad(`deployment ${deploymentId}`, () => api.deployment(deploymentId));
}

interface FrameProps {
  deploymentId: string;
  deployment: Loaded<Deployment>;
  tab: (typeof TABS)[number]['tab'];
  action?: ComponentChildren;
  children: ComponentChildren;
}

/**
 * The frame around all pages of a Deployment: its name and the navigation. If a call fails, the rest of the page stays
 * visible.
 */
export function DeploymentFrame({ deploymentId, deployment, tab, action, children }: FrameProps) {
  const { person } = useTools();
  const { data, error, reload } = deployment;
  const name = data?.name ?? deploymentId;
  const isAbsent = error instanceof ApiError && error.status === 404;
  // A Deployment's events remain after the Deployment is deleted. The API call that lists the events decides whether
  // the person is allowed to see them.
  const hasOnlyEvents = tab === 'events' && isAbsent;
  if (isAbsent && !hasOnlyEvents) return <NotFound deploymentId={deploymentId} />;
  const { title } = TABS.find((one) => one.tab === tab) ?? TABS[0];
  return (
    <main>
      <Breadcrumb deploymentId={deploymentId} />
      <div class="head">
        <div class="titles">
          <Heading title={`${title} of ${name}`}>
            <bdi>{name}</bdi>
          </Heading>
          {data && data.groups.length > 0 && (
            <span class="quiet">
              {data.groups.length === 1 ? 'Group' : 'Groups'}: <bdi>{data.groups.join(', ')}</bdi>
            </span>
          )}
        </div>
        {!isAbsent && (
          <div class="buttons">
            {person.isAdministrator && (
              <a class="button" href={paths.settings(deploymentId)}>
                Settings
              </a>
            )}
            {action}
          </div>
        )}
      </div>
      {!hasOnlyEvents && (
        <nav aria-label="This Deployment" class="sections">
          {TABS.map((one) => (
            <a
              key={one.tab}
              href={one.path(deploymentId)}
              aria-current={one.tab === tab ? 'page' : undefined}
            >
              {one.title}
            </a>
          ))}
        </nav>
      )}
      {error !== undefined && !isAbsent && <Failure error={error} retry={reload} />}
      {children}
    </main>
  );
}

/** Breadcrumb: all Deployments, the current Deployment, and the current subpage. */
export function Breadcrumb({ deploymentId, here }: { deploymentId: string; here?: string }) {
  return (
    <nav aria-label="Breadcrumb" class="breadcrumb">
      <a href={paths.deployments()}>Deployments</a> <span aria-hidden="true">/</span>{' '}
      {here === undefined ? (
        <span class="mono">{deploymentId}</span>
      ) : (
        <>
          <a class="mono" href={paths.keys(deploymentId)}>
            {deploymentId}
          </a>{' '}
          <span aria-hidden="true">/</span> {here}
        </>
      )}
    </nav>
  );
}

/**
 * The page for a Deployment or key that does not exist, or that the person is not allowed to see. Both cases must look
 * the same.
 * @param keyId ID of the key; undefined for a Deployment
 */
export function NotFound({ deploymentId, keyId }: { deploymentId: string; keyId?: string }) {
  const { person } = useTools();
  const subject = keyId ? 'API key' : 'Deployment';
  return (
    <main>
      {keyId && <Breadcrumb deploymentId={deploymentId} here="API key" />}
      <div class="head">
        <Heading title="Not found">{subject} not found</Heading>
      </div>
      <p class="lead">
        <code>{keyId ?? deploymentId}</code> does not exist, was deleted, or you don’t have access.
      </p>
      <p class="actions">
        {keyId ? (
          <>
            <a href={paths.keys(deploymentId)}>API keys of this Deployment</a>
            <a href={paths.events(deploymentId, { keyId })}>Events of this key</a>
          </>
        ) : (
          <>
            <a href={paths.deployments()}>All Deployments</a>
            {person.isAdministrator && <a href={paths.events(deploymentId)}>Events of this ID</a>}
          </>
        )}
      </p>
    </main>
  );
}
