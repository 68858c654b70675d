import { actorWords, eventWords } from './event-words.ts';
import { PersonName, Time } from './parts.tsx';
import { paths } from './paths.ts';
import type { ServiceEvent } from './resources.ts';
import { useTools } from './state.ts';

interface EventProps {
  event: ServiceEvent;
  deploymentId: string;
  /** Whether the event appears on the page of its key. @default false */
  isOfKeyPage?: boolean;
}

/** One event of a Deployment: a one-sentence summary, who caused the event, and its full data when expanded. */
export function EventItem({ event, deploymentId, isOfKeyPage = false }: EventProps) {
  const { keyId } = event.data;
  return (
    <li class="event">
      <p class="name" dir="auto">
        {eventWords(event)}
      </p>
      <div class="quiet">
        <Cause event={event} />
        {keyId && !isOfKeyPage && (
          <a class="mono" href={paths.key(deploymentId, keyId)} title={keyId}>
            …{keyId.slice(-10)}
          </a>
        )}
        <details>
          <summary>Details</summary>
          <pre>
            {JSON.stringify({ id: event.id, type: event.type, time: event.time, ...event.data }, null, 2)}
          </pre>
        </details>
      </div>
    </li>
  );
}

function Cause({ event: { time, data } }: { event: ServiceEvent }) {
  const { person } = useTools();
  const { actor } = data;
  const { words, principal } = actorWords(actor);
  const isOwn = actor.type === 'person' && principal === person.sub;
  return (
    <p>
      <Time of={time} /> {isOwn ? 'by' : words}
      {principal !== undefined && (
        <>
          {' '}
          <PersonName sub={principal} name={actor.name} isPlain={actor.type !== 'person'} />
        </>
      )}
      {actor.address && ` from ${actor.address}`}
    </p>
  );
}
