import { type ComponentChildren, type FunctionComponent, render } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';
import { LocationProvider, useLocation } from 'preact-iso';
import { Api } from './api.ts';
import { readConfig } from './config.ts';
import { Dialog } from './dialog.tsx';
import { Drafts } from './drafts.ts';
import { listenForLoss, releaseGuard, whenReleased, wouldSignInLose } from './guard.ts';
import { Failure, Heading, Icon, Skeleton } from './parts.tsx';
import { paths, type View, viewOf } from './paths.ts';
import type { NamedPerson, Person } from './person.ts';
import type { NewKey } from './resources.ts';
import { Session, type SignInState } from './session.ts';
import { type Tools, ToolsContext, useAction, useDropWhenHidden } from './state.ts';
import { type Toast, Toasts } from './toasts.tsx';

const config = readConfig();

function App() {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const session = useMemo(() => new Session(config, () => redraw(undefined as never)), []);
  const { path, query } = useLocation();
  const view = viewOf(path, query);
  const { state } = session;
  if (view.page === 'signed-in') return <Returning session={session} />;
  if (state.name === 'out') {
    return <SignInPage session={session} isSignedOut={view.page === 'signed-out'} />;
  }
  return <SignedIn session={session} state={state} view={view} />;
}

interface SignedInProps {
  session: Session;
  state: Exclude<SignInState, { name: 'out' }>;
  view: View;
}

/** Shows the pages for a signed-in person, together with the parts that all pages share. */
function SignedIn({ session, state, view }: SignedInProps) {
  const { person } = state;
  const [made, setMade] = useState<NewKey>();
  const [changed, setChanged] = useState<string>();
  const [chosenPerson, choosePerson] = useState<NamedPerson>();
  const [areExact, setExact] = useState(false);
  const [toast, setToast] = useState<Toast>();
  const count = useRef(0);
  const [, redraw] = useReducer((drawn: number) => drawn + 1, 0);
  useDropWhenHidden(() => setMade(undefined));
  useScroll(view);
  const still = useMemo(
    () => ({
      api: new Api(session),
      config,
      drafts: new Drafts(),
      cache: new Map<string, unknown>(),
      redraw: () => redraw(undefined as never),
      setMade,
      setChanged,
      choosePerson,
      say: (text: string) => setToast({ id: ++count.current, text }),
    }),
    [],
  );
  const times = { areExact, toggle: () => setExact(!areExact) };
  const tools: Tools = { ...still, person, made, changed, chosenPerson, times };
  return (
    <ToolsContext.Provider value={tools}>
      <Header session={session} person={person} view={view} />
      <LazyPage view={view} />
      <Toasts toast={toast} onDrop={() => setToast(undefined)} />
      {state.name === 'ended' && (
        <SignInEnded session={session} drafts={still.drafts} reason={state.reason} />
      )}
    </ToolsContext.Provider>
  );
}

/** Scrolls a new page, or another page of a table, to its top. Going back restores the previous scroll position. */
function useScroll(view: View): void {
  const { wasPush } = useLocation() as ReturnType<typeof useLocation> & { wasPush: boolean };
  const place = [
    view.page,
    'deploymentId' in view && view.deploymentId,
    view.page === 'key' && view.keyId,
    'table' in view && view.table.number,
    'number' in view && view.number,
  ].join(' ');
  useLayoutEffect(() => {
    if (wasPush) scrollTo(0, 0);
  }, [place]);
}

type PageName = Exclude<View['page'], 'signed-in' | 'signed-out' | 'unknown'>;
type PageComponent = FunctionComponent<{ view: never }>;

/** The console's pages. Each is a separate file, which the browser loads when a person opens the page. */
const PAGES: Partial<Record<View['page'], () => Promise<{ default: unknown }>>> = {
  deployments: () => import('./deployments-page.tsx'),
  keys: () => import('./keys-page.tsx'),
  key: () => import('./key-page.tsx'),
  'temporary-tokens': () => import('./tokens-page.tsx'),
  token: () => import('./tokens-page.tsx'),
  events: () => import('./events-page.tsx'),
  people: () => import('./people-page.tsx'),
} satisfies Partial<Record<PageName, unknown>>;

/** The pages that have been loaded so far. */
const loaded = new Map<View['page'], PageComponent>();

function LazyPage({ view }: { view: View }) {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const [failed, setFailed] = useState<View['page']>();
  const load = PAGES[view.page];
  const Page = loaded.get(view.page);
  useEffect(() => {
    if (!load || Page) return;
    load().then(
      (module) => {
        loaded.set(view.page, module.default as PageComponent);
        redraw(undefined as never);
      },
      () => setFailed(view.page),
    );
  }, [view.page]);
  if (!load) return <UnknownPage />;
  // On the page for temporary tokens, the focus must stay in the field that chooses the Deployment.
  const place = view.page !== 'token' && 'deploymentId' in view ? view.deploymentId : '';
  if (Page) return <Page key={place} view={view as never} />;
  if (failed !== view.page) {
    return (
      <main>
        <Skeleton rows={6} isTable label="Loading the page" />
      </main>
    );
  }
  return (
    <main>
      <Heading title="Not loaded">This page could not be loaded</Heading>
      <p class="lead">The service cannot be reached, or the console was updated. Reload to continue.</p>
      <button type="button" class="primary" onClick={() => location.reload()}>
        Reload
      </button>
    </main>
  );
}

const here = () => location.pathname + location.search;

/** Completes a sign-in after the redirect from the issuer. */
function Returning({ session }: { session: Session }) {
  const { route } = useLocation();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const url = new URL(location.href);
    // Removes the code from the address bar and the history before anything else happens.
    history.replaceState(null, '', paths.signedIn());
    session.complete(url).then(
      (returnTo) => route(returnTo, true),
      (failure) => setError(failure),
    );
  }, []);
  if (error === undefined) return <Waiting words="Signing you in…" />;
  const isDenied = error instanceof Error && 'error' in error && error.error === 'access_denied';
  return (
    <Welcome session={session} returnTo={paths.deployments()}>
      <Failure error={undefined} />
      <p class="quiet">{isDenied ? 'The issuer denied the sign-in.' : 'The sign-in failed. Try again.'}</p>
    </Welcome>
  );
}

/** Signs the person in without a click if the issuer still has their session; otherwise, asks the person to sign in. */
function SignInPage({ session, isSignedOut }: { session: Session; isSignedOut: boolean }) {
  const [isSilent] = useState(session.canBeSilent && !isSignedOut);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    if (isSilent) session.begin(here(), true).catch(setError);
  }, []);
  if (isSilent && error === undefined) return <Waiting words="Signing you in…" />;
  return (
    <Welcome session={session} returnTo={isSignedOut ? paths.deployments() : here()} failure={error}>
      {isSignedOut && <p role="status">You are signed out.</p>}
    </Welcome>
  );
}

function Waiting({ words }: { words: string }) {
  return (
    <main class="welcome">
      <Mark />
      <p role="status">{words}</p>
    </main>
  );
}

interface WelcomeProps {
  session: Session;
  returnTo: string;
  /** Error from the attempt to sign in without a prompt. */
  failure?: unknown;
  children?: ComponentChildren;
}

function Welcome({ session, returnTo, failure, children }: WelcomeProps) {
  const { isBusy, error = failure, run } = useAction();
  return (
    <main class="welcome">
      <Mark />
      <Heading title="Sign in">Deployment API Keys</Heading>
      <p class="lead">API keys for your pipelines, temporary tokens for you.</p>
      {children}
      {error !== undefined && <Failure error={error} />}
      <button
        type="button"
        class="primary"
        disabled={isBusy}
        onClick={() => run(() => session.begin(returnTo))}
      >
        Sign in
      </button>
    </main>
  );
}

interface SignInEndedProps {
  session: Session;
  drafts: Drafts;
  /** Why the service rejected the sign-in; undefined if it has expired. */
  reason: string | undefined;
}

/**
 * Asks the person to sign in again after the session has ended. Form input is kept. If an administrator has ended the
 * person's access, the dialog says so, because another sign-in might not help.
 */
function SignInEnded({ session, drafts, reason }: SignInEndedProps) {
  const { isBusy, error, run } = useAction();
  // While the page shows a secret, the dialog would hide it, and another sign-in would lose it.
  const [isWaiting, setWaiting] = useState(wouldSignInLose);
  useEffect(() => whenReleased(() => setWaiting(false)), []);
  if (isWaiting) return null;
  const again = () =>
    run(() => {
      drafts.keep();
      releaseGuard();
      return session.begin(here());
    });
  return (
    <Dialog
      title={reason ? 'The service rejected your sign-in' : 'Your session has expired'}
      isDismissible={false}
      onClose={again}
    >
      <p>{reason ?? 'Sign in again to continue. You will return to this page, and your input is kept.'}</p>
      {error !== undefined && <Failure error={error} />}
      <footer>
        <button type="button" onClick={() => session.signOut()} disabled={isBusy}>
          Sign out
        </button>
        <button type="button" class="primary" onClick={again} disabled={isBusy}>
          Sign in again
        </button>
      </footer>
    </Dialog>
  );
}

function Header({ session, person, view }: { session: Session; person: Person; view: View }) {
  const isCurrent = (page: View['page']) => (view.page === page ? 'page' : undefined);
  const isElsewhere = view.page === 'token' || view.page === 'people';
  return (
    <header class="top">
      <a class="brand" href={paths.deployments()}>
        <Mark />
        <span>Deployment API Keys</span>
      </a>
      <nav aria-label="Main">
        <a href={paths.deployments()} aria-current={isElsewhere ? undefined : 'true'}>
          Deployments
        </a>
        <a href={paths.token()} aria-current={isCurrent('token')}>
          Temporary tokens
        </a>
        {person.isAdministrator && (
          <a href={paths.people()} aria-current={isCurrent('people')}>
            People
          </a>
        )}
        {/* The API reference opens in a new tab, so that the current view is kept. */}
        <a
          href="/openapi.json"
          target="_blank"
          rel="noreferrer"
          aria-label="API reference (opens in a new tab)"
        >
          API
        </a>
      </nav>
      <div class="person">
        <bdi class="who" title={person.isAdministrator ? `${person.sub}, administrator` : person.sub}>
          {person.name}
        </bdi>
        {person.isAdministrator && <span class="role">Administrator</span>}
        <button type="button" class="plain" onClick={() => session.signOut()}>
          <Icon name="out" />
          <span>Sign out</span>
        </button>
      </div>
    </header>
  );
}

function UnknownPage() {
  return (
    <main>
      <div class="head">
        <Heading title="Not found">Page not found</Heading>
      </div>
      <p>
        <a href={paths.deployments()}>All Deployments</a>
      </p>
    </main>
  );
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <g>
        <circle cx="11.5" cy="16" r="4.7" />
        <path d="M16.2 16H25v4M20.8 16v3" />
      </g>
    </svg>
  );
}

// Reloads a page that the browser restored from its cache, for example when the person presses the back button after
// signing out.
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

listenForLoss();
const root = document.getElementById('app');
if (root) {
  render(
    <LocationProvider scope={/^\/(console|token)(?=[/?]|$)/}>
      <App />
    </LocationProvider>,
    root,
  );
}
