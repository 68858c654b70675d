import { useEffect, useRef } from 'preact/hooks';
import { DeploymentFrame, useDeployment } from './deployment-frame.tsx';
import { EventItem } from './events.tsx';
import { Empty, ExactTimes, Failure, Skeleton } from './parts.tsx';
import { paths, type View } from './paths.ts';
import type { ServiceEvent } from './resources.ts';
import { type Pages, useAction, usePages, useTools } from './state.ts';
import { counted } from './words.ts';

type EventsView = Extract<View, { page: 'events' }>;

/** The filters for kinds of events, each with the prefix that its event types share. */
const KINDS = [
  ['', 'All', ''],
  ['keys', 'API keys', 'api_key.'],
  ['tokens', 'Tokens', 'token.'],
  ['temporary-tokens', 'Temporary tokens', 'temporary_token.'],
  ['deployment', 'Deployment', 'deployment.'],
  ['rejected', 'Rejected calls', 'call.'],
] as const;

/** Lists the events of a Deployment, even if the Deployment was deleted. */
export default function EventsPage({ view }: { view: EventsView }) {
  const { deploymentId, type, keyId } = view;
  const { api } = useTools();
  const deployment = useDeployment(deploymentId);
  const listing = usePages<ServiceEvent>(`events ${deploymentId} ${keyId}`, (cursor) =>
    api.events(deploymentId, cursor, keyId || undefined),
  );
  const [, , begins] = KINDS.find(([kind]) => kind === type) ?? KINDS[0];
  const shown = (listing.data?.items ?? []).filter((event) => event.type.startsWith(begins));
  return (
    <DeploymentFrame deploymentId={deploymentId} deployment={deployment} tab="events">
      <div class="bar">
        <nav class="chips" aria-label="Filter by kind">
          {KINDS.map(([kind, label]) => (
            <a
              key={kind}
              class="chip"
              aria-current={kind === type ? 'true' : undefined}
              href={paths.events(deploymentId, { type: kind, keyId })}
            >
              {label}
            </a>
          ))}
          {keyId && (
            <a
              class="chip"
              aria-current="true"
              href={paths.events(deploymentId, { type })}
              aria-label={`Remove the filter by key ${keyId}`}
            >
              Key …{keyId.slice(-10)} ×
            </a>
          )}
        </nav>
        <span class="buttons">
          <ExactTimes />
          <button
            type="button"
            class="small"
            disabled={shown.length === 0}
            onClick={() => save(deploymentId, shown)}
          >
            Export JSON lines
          </button>
        </span>
      </div>
      <EventList key={`${type} ${keyId}`} deploymentId={deploymentId} listing={listing} shown={shown} />
    </DeploymentFrame>
  );
}

/** Saves events to a file, one JSON object per line, in the format of the API. */
function save(deploymentId: string, events: readonly ServiceEvent[]): void {
  const lines = events.map((event) => `${JSON.stringify(event)}\n`);
  const url = URL.createObjectURL(new Blob(lines, { type: 'application/jsonl' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `${deploymentId}-events.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Maximum number of further pages to load automatically while no event matches the filter. */
const SEARCHED = 10;

interface ListProps {
  deploymentId: string;
  listing: Pages<ServiceEvent>;
  shown: readonly ServiceEvent[];
}

function EventList({ deploymentId, listing, shown }: ListProps) {
  const { isBusy, error, run } = useAction();
  const { data } = listing;
  const isSearching = data?.nextCursor !== undefined && shown.length === 0;
  const searched = useRef(0);
  useEffect(() => {
    if (isSearching && searched.current++ < SEARCHED) run(listing.more);
  }, [isSearching, data?.nextCursor]);
  if (!data && listing.error !== undefined) return <Failure error={listing.error} retry={listing.reload} />;
  if (!data) return <Skeleton rows={8} label="Loading the events" isTable />;
  const { nextCursor } = data;
  // A page of events can be empty without being the last page.
  if (data.items.length === 0 && !nextCursor) {
    return (
      <Empty title="No events">
        <p>Nothing has happened in the last 90 days.</p>
      </Empty>
    );
  }
  return (
    <>
      {listing.error !== undefined && <Failure error={listing.error} retry={listing.reload} />}
      {shown.length === 0 && (
        <p class="nothing">
          {isBusy && 'Searching… '}
          {nextCursor
            ? `None of the latest ${counted(data.items.length, 'event')} matches.`
            : 'No event of the last 90 days matches.'}
        </p>
      )}
      {shown.length > 0 && (
        <ul class="card rows events">
          {shown.map((event) => (
            <EventItem key={event.id} event={event} deploymentId={deploymentId} />
          ))}
        </ul>
      )}
      {error !== undefined && <Failure error={error} />}
      {nextCursor && (
        <p class="pages">
          <button type="button" onClick={() => run(listing.more)} disabled={isBusy}>
            {isBusy ? 'Loading…' : 'Show more'}
          </button>
        </p>
      )}
    </>
  );
}
