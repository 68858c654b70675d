import { actorWords, eventWords } from './event-words.ts';
import { Time } from './parts.tsx';
import type { ServiceEvent } from './resources.ts';

/** One line of a Deployment's history. */
export function EventItem({ event }: { event: ServiceEvent }) {
  const { keyId } = event.data;
  return (
    <li class="card event">
      <p class="name">{eventWords(event)}</p>
      <div class="quiet">
        <p>
          <Time of={event.time} /> {actorWords(event.data.actor)}
        </p>
        {keyId && <code>{keyId}</code>}
      </div>
    </li>
  );
}
