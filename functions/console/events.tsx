import { actorWords, eventWords } from './event-words.ts';
import { Time } from './parts.tsx';
import type { ServiceEvent } from './resources.ts';

/** One event of a Deployment. */
export function EventItem({ event }: { event: ServiceEvent }) {
  const { keyId, actor } = event.data;
  const { words, principal } = actorWords(actor);
  return (
    <li class="card event">
      <p class="name">{eventWords(event)}</p>
      <div class="quiet">
        <p>
          <Time of={event.time} /> {words}
          {principal !== undefined && (
            <>
              {' '}
              <span class="who">{principal}</span>
            </>
          )}
          {actor.address && ` from ${actor.address}`}
        </p>
        {keyId && <code>{keyId}</code>}
      </div>
    </li>
  );
}
