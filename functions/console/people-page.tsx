import { useEffect, useState } from 'preact/hooks';
import { ApiError } from './api.ts';
import { CancelButton, Dialog, DialogFooter } from './dialog.tsx';
import { EventItem } from './events.tsx';
import { faultOf } from './key-fields.ts';
import {
  Choice,
  ConfirmField,
  Empty,
  ExactTimes,
  Failure,
  Find,
  Heading,
  Notice,
  Skeleton,
  Time,
} from './parts.tsx';
import { paths } from './paths.ts';
import type { NamedPerson } from './person.ts';
import type { AccessJob, FoundPerson, HeldKey, PersonAccess, ServiceEvent } from './resources.ts';
import { type Listing, useAction, useAll, useLoad, useTools } from './state.ts';
import { counted } from './words.ts';

/** Maximum number of API pages that the list loads. */
const MOST = 10;
/** Number of people and events that the page initially shows. */
const SHOWN = 50;
/** Interval at which the page polls the job's progress, in milliseconds. */
const POLL = 2000;

/** Page for administrators that lists the people whose access was ended. */
export default function PeoplePage() {
  const { person } = useTools();
  return (
    <main>
      <div class="head">
        <Heading title="People">People</Heading>
      </div>
      {person.isAdministrator ? (
        <People />
      ) : (
        <p>
          Only administrators can see this page. <a href={paths.deployments()}>All Deployments</a>
        </p>
      )}
    </main>
  );
}

const labelOf = ({ sub, name = sub }: NamedPerson) => name;

function People() {
  const { api, chosenPerson, choosePerson } = useTools();
  const [isEnding, setEnding] = useState(false);
  const listing = useAll<PersonAccess>('people', api.people, MOST);
  const events = useLoad<Listing<ServiceEvent>>('people events', () => api.peopleEvents());
  useEffect(() => () => choosePerson(undefined), []);
  const reload = () => {
    listing.reload();
    events.reload();
  };
  const { data, error } = listing;
  return (
    <>
      <p class="lead">
        When somebody leaves, disable their account at your issuer, and then end their access here: their
        temporary tokens and sign-ins stop working immediately, and a job finds the API keys that are theirs.
      </p>
      <Find
        label="ID of a person"
        hint="The claim sub of their access tokens."
        action="Find person"
        format={{
          maxLength: 255,
          pattern: '[ -~]*[!-~][ -~]*',
          title: 'Up to 255 printable ASCII characters',
        }}
        onFind={(sub) => choosePerson({ sub })}
      />
      {error !== undefined && <Failure error={error} retry={listing.reload} />}
      {!data && error === undefined && <Skeleton rows={4} isTable label="Loading people" />}
      {data?.items.length === 0 && (
        <Empty title="Nobody’s access was ended" icon="people">
          <p>Find a person by their ID, or choose the name of a person beside a key, a token or an event.</p>
        </Empty>
      )}
      {data && data.items.length > 0 && <PeopleTable people={data.items} onOpen={choosePerson} />}
      <Events listing={events.data} />
      {chosenPerson && !isEnding && (
        <PersonDialog
          key={chosenPerson.sub}
          person={chosenPerson}
          onClose={() => choosePerson(undefined)}
          onEnd={() => setEnding(true)}
          onChanged={reload}
        />
      )}
      {chosenPerson && isEnding && (
        <EndAccess
          person={chosenPerson}
          onClose={() => setEnding(false)}
          onEnded={() => {
            setEnding(false);
            reload();
          }}
        />
      )}
    </>
  );
}

function PeopleTable({
  people,
  onOpen,
}: {
  people: readonly PersonAccess[];
  onOpen: (person: NamedPerson) => void;
}) {
  const [shown, setShown] = useState(SHOWN);
  const latestFirst = people.toSorted((one, other) => Number(dateOf(other)) - Number(dateOf(one)));
  return (
    <>
      <div class="bar">
        <span class="count" role="status">
          {people.length === 1 ? '1 person' : `${people.length.toLocaleString('en')} people`}
        </span>
        <ExactTimes />
      </div>
      <table class="table people">
        <thead>
          <tr>
            <th scope="col">Person</th>
            <th scope="col">Sign-in</th>
            <th scope="col">Access ended</th>
            <th scope="col">API keys</th>
          </tr>
        </thead>
        <tbody>
          {latestFirst.slice(0, shown).map((one) => (
            <tr key={one.sub}>
              <td class="main-cell">
                <button type="button" class="link mono" onClick={() => onOpen({ sub: one.sub })}>
                  {one.sub}
                </button>
              </td>
              <td class="status-cell">
                <SignInState access={one} />
              </td>
              <td data-label="Access ended">{one.endedAt ? <Time of={one.endedAt} /> : 'never'}</td>
              <td class="quiet" data-label="API keys">
                {one.job && jobWords(one.job)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {people.length > shown && (
        <button type="button" onClick={() => setShown(shown + SHOWN)}>
          Show more people
        </button>
      )}
    </>
  );
}

const dateOf = ({ endedAt }: PersonAccess) => (endedAt ? Date.parse(endedAt) : 0);

function SignInState({ access: { blocked } }: { access: PersonAccess }) {
  return <span class={`state ${blocked ? 'bad' : 'good'}`}>{blocked ? 'Blocked' : 'Allowed'}</span>;
}

function jobWords({ keys, status, found, disabled }: AccessJob): string {
  if (status === 'running') return `Searching all keys: ${counted(found, 'key')} found so far`;
  if (found === 0) return 'No keys found';
  return `${counted(found, 'key')} found${keys === 'disable' ? `, ${disabled.toLocaleString('en')} disabled` : ''}`;
}

function Events({ listing }: { listing: Listing<ServiceEvent> | undefined }) {
  if (!listing || listing.items.length === 0) return null;
  return (
    <section aria-label="Events" class="people-events">
      <h2>Events</h2>
      <ul class="card rows events">
        {listing.items.slice(0, SHOWN).map((event) => (
          <EventItem key={event.id} event={event} deploymentId="" />
        ))}
      </ul>
    </section>
  );
}

interface PersonProps {
  person: NamedPerson;
  onClose: () => void;
  onEnd: () => void;
  onChanged: () => void;
}

/** Shows a person's access, the progress of the job that finds their keys, and the keys found so far. */
function PersonDialog({ person, onClose, onEnd, onChanged }: PersonProps) {
  const { api, say } = useTools();
  const { isBusy, error, run } = useAction();
  const { sub } = person;
  const found = useLoad<FoundPerson>(`person ${sub}`, () => api.findPerson(sub));
  const { data, reload } = found;
  const isRunning = data?.job?.status === 'running';
  useEffect(() => {
    if (!isRunning) return;
    const timer = setTimeout(reload, POLL);
    return () => clearTimeout(timer);
  }, [data]);
  useEffect(() => {
    if (data?.job?.status === 'finished') onChanged();
  }, [data?.job?.status]);
  const restore = () =>
    run(async () => {
      await api.restoreAccess(sub);
      say(`${labelOf(person)} can sign in again`);
      reload();
      onChanged();
    });
  return (
    <Dialog title={labelOf(person)} onClose={onClose}>
      {found.error !== undefined && <Failure error={found.error} retry={reload} />}
      {!data && found.error === undefined && <Skeleton rows={2} label="Loading the person" />}
      {data && <PersonFacts found={data} />}
      {/* The job saves its count less often than the keys, so the list can contain more keys than the count says. */}
      {data?.job && <Job job={{ ...data.job, found: Math.max(data.job.found, data.keys.length) }} />}
      {data && <HeldKeys found={data} onMore={(next) => found.update(() => next)} />}
      {error !== undefined && <Failure error={error} />}
      <footer>
        <CancelButton>Close</CancelButton>
        {data?.blocked && (
          <button type="button" onClick={restore} disabled={isBusy}>
            {isBusy ? 'Restoring…' : 'Restore access'}
          </button>
        )}
        {/* The button is also shown if the record cannot be loaded, because ending access replaces a malformed record. */}
        {(data || found.error !== undefined) && (
          <button type="button" class={data?.endedAt ? 'danger-quiet' : 'danger'} onClick={onEnd}>
            {data?.endedAt ? 'End access again' : 'End access'}
          </button>
        )}
      </footer>
    </Dialog>
  );
}

function PersonFacts({ found }: { found: FoundPerson }) {
  return (
    <dl class="details compact">
      <dt>ID</dt>
      <dd class="mono">{found.sub}</dd>
      <dt>Sign-in</dt>
      <dd>
        <SignInState access={found} />
      </dd>
      <dt>Ended</dt>
      <dd>{found.endedAt ? <Time of={found.endedAt} isExact /> : 'Access was never ended'}</dd>
    </dl>
  );
}

function Job({ job }: { job: AccessJob }) {
  return (
    <p role="status">
      <strong>{jobWords(job)}</strong>
      {job.status === 'finished' && job.keys === 'report' && job.found > 0 && (
        <>
          . Found keys keep working. Rotate or disable each key whose secret the person may have, or end
          access again and disable all of them.
        </>
      )}
    </p>
  );
}

const REASONS = {
  created: 'created it',
  secret: 'received an active secret',
  trust: 'set its trust rules',
};

const lists = new Intl.ListFormat('en');
const listOf = (words: string[]) => lists.format(words);

interface HeldKeysProps {
  found: FoundPerson;
  onMore: (found: FoundPerson) => void;
}

/** Shows the keys that the job has found, and why each key belongs to the person. */
function HeldKeys({ found, onMore }: HeldKeysProps) {
  const { api } = useTools();
  const { isBusy, error, run } = useAction();
  const { sub, keys, nextCursor } = found;
  if (keys.length === 0 && !nextCursor) return null;
  const showMore = () =>
    run(async () => {
      const next = await api.findPerson(sub, nextCursor);
      onMore({ ...next, keys: [...keys, ...next.keys] });
    });
  return (
    <>
      <ul class="rows held" aria-label="API keys">
        {keys.map((key) => (
          <HeldKeyRow key={key.id} held={key} />
        ))}
      </ul>
      {error !== undefined && <Failure error={error} />}
      {nextCursor && (
        <p>
          <button type="button" onClick={showMore} disabled={isBusy}>
            {isBusy ? 'Loading…' : 'Show more keys'}
          </button>
        </p>
      )}
    </>
  );
}

function HeldKeyRow({ held: { id, name, reasons, disabled } }: { held: HeldKey }) {
  // A key ID consists of `dk_`, the Deployment ID, an underscore and a ULID.
  const deploymentId = id.slice(3, -27);
  return (
    <li>
      <a href={paths.key(deploymentId, id)}>
        <bdi>{name}</bdi>
      </a>{' '}
      of <span class="mono">{deploymentId}</span> {disabled && <span class="state warning">Disabled</span>}
      <p class="quiet">The person {listOf(reasons.map((reason) => REASONS[reason]))}.</p>
    </li>
  );
}

interface EndProps {
  person: NamedPerson;
  onClose: () => void;
  onEnded: () => void;
}

/** Dialog that ends a person's access. */
function EndAccess({ person, onClose, onEnded }: EndProps) {
  const { api, cache, say, person: self } = useTools();
  const { isBusy, error, run } = useAction();
  const [keys, setKeys] = useState<AccessJob['keys']>('report');
  const [block, setBlock] = useState(true);
  const [typed, setTyped] = useState('');
  const { sub } = person;
  const isSelf = sub === self.sub;
  const isConfirmed = !isSelf || typed.trim() === sub.trim();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (isBusy || !isConfirmed) return;
    run(async () => {
      await api.endAccess(sub, { keys, block });
      cache.delete(`person ${sub}`);
      say(`Access of ${labelOf(person)} ended`);
      onEnded();
    });
  };
  const fault = error instanceof ApiError ? faultOf(error.fields, 'sub') : undefined;
  return (
    <Dialog title={`End access of ${labelOf(person)}`} onClose={onClose}>
      <form onSubmit={submit}>
        {isSelf && (
          <Notice kind="error">
            <p>
              <strong>This is you.</strong> You are signed out, and you can’t restore your own access.
            </p>
          </Notice>
        )}
        <p>
          All temporary tokens of this person, in every Deployment, and their current sign-ins stop working
          immediately. This can’t be undone.
        </p>
        {error !== undefined && <Failure error={fault ? new ApiError(400, `The ID ${fault}`) : error} />}
        <fieldset class="field">
          <legend>New sign-ins</legend>
          <div class="choices">
            <Choice name="block" checked={block} onChoose={() => setBlock(true)}>
              Block until access is restored
            </Choice>
            <Choice name="block" checked={!block} onChoose={() => setBlock(false)}>
              Allow
            </Choice>
          </div>
        </fieldset>
        <fieldset class="field">
          <legend>API keys of this person</legend>
          <div class="choices">
            <Choice name="keys" checked={keys === 'report'} onChoose={() => setKeys('report')}>
              Find and list
            </Choice>
            <Choice name="keys" checked={keys === 'disable'} onChoose={() => setKeys('disable')}>
              Find and disable
            </Choice>
          </div>
          <p class="hint">
            {keys === 'disable'
              ? 'Pipelines that use one of these keys lose access.'
              : 'The keys keep working until somebody disables or rotates them.'}
          </p>
        </fieldset>
        {isSelf && (
          <ConfirmField label={`Type ${sub} to end your own access`} value={typed} onInput={setTyped} />
        )}
        <DialogFooter
          isBusy={isBusy}
          isDisabled={!isConfirmed}
          busy="Ending access…"
          action="End access"
          isDanger
        />
      </form>
    </Dialog>
  );
}
