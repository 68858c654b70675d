import { render } from 'preact';
import { useEffect, useMemo, useReducer, useState } from 'preact/hooks';
import { LocationProvider, useLocation } from 'preact-iso';
import { Api } from './api.ts';
import { readConfig } from './config.ts';
import { Drafts } from './drafts.ts';
import {
  DeploymentsPage,
  EventsPage,
  KeysPage,
  TemporaryTokensPage,
  TokenPage,
  useDropWhenHidden,
} from './pages.tsx';
import { Dialog, Failure, Heading, Icon } from './parts.tsx';
import { paths, viewOf } from './paths.ts';
import type { NewKey } from './resources.ts';
import { Session } from './session.ts';
import { type Tools, ToolsContext, useAction } from './state.ts';

const config = readConfig();

function App() {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const session = useMemo(() => new Session(config, () => redraw(undefined as never)), []);
  const [made, setMade] = useState<NewKey>();
  useDropWhenHidden(() => setMade(undefined));
  const tools = useMemo<Tools>(() => {
    const drafts = new Drafts();
    return { api: new Api(session), config, drafts, made: undefined, setMade };
  }, []);
  const { path, query } = useLocation();
  const view = viewOf(path, query);
  const { state } = session;

  if (view.page === 'signed-in') return <Returning session={session} />;
  if (state.name === 'out') {
    return <SignInPage session={session} isSignedOut={view.page === 'signed-out'} />;
  }
  return (
    <ToolsContext.Provider value={{ ...tools, made }}>
      <Header session={session} person={state.person} isToken={view.page === 'token'} />
      {view.page === 'deployments' && <DeploymentsPage />}
      {view.page === 'keys' && (
        <KeysPage key={view.deploymentId} deploymentId={view.deploymentId} dialog={view.dialog} />
      )}
      {view.page === 'temporary-tokens' && (
        <TemporaryTokensPage key={view.deploymentId} deploymentId={view.deploymentId} />
      )}
      {view.page === 'events' && <EventsPage key={view.deploymentId} deploymentId={view.deploymentId} />}
      {view.page === 'token' && <TokenPage deploymentId={view.deploymentId} />}
      {(view.page === 'unknown' || view.page === 'signed-out') && <UnknownPage />}
      {state.name === 'ended' && <SignInEnded session={session} drafts={tools.drafts} />}
    </ToolsContext.Provider>
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

function SignInPage({ session, isSignedOut }: { session: Session; isSignedOut: boolean }) {
  const [isReturning] = useState(session.isReturning && !isSignedOut);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    // After a reload, the issuer still has the person's session.
    if (isReturning) session.begin(here()).catch(setError);
  }, []);
  if (isReturning && error === undefined) return <Waiting words="Signing you in…" />;
  return (
    <Welcome session={session} returnTo={isSignedOut ? paths.deployments() : here()}>
      {isSignedOut && <p role="status">You are signed out.</p>}
      {error !== undefined && <Failure error={error} />}
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
  children?: preact.ComponentChildren;
}

function Welcome({ session, returnTo, children }: WelcomeProps) {
  const { isBusy, error, run } = useAction();
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

/** Asks to sign in again when the session has expired. What people typed is kept. */
function SignInEnded({ session, drafts }: { session: Session; drafts: Drafts }) {
  const { isBusy, error, run } = useAction();
  const again = () =>
    run(() => {
      drafts.keep();
      return session.begin(here());
    });
  return (
    <Dialog title="Your session has expired" isDismissible={false} onClose={again}>
      <p>Sign in again to continue. You will return to this page, and your input is kept.</p>
      {error !== undefined && <Failure error={error} />}
      <footer>
        <button type="button" class="primary" onClick={again} disabled={isBusy}>
          Sign in again
        </button>
      </footer>
    </Dialog>
  );
}

function Header({ session, person, isToken }: { session: Session; person: string; isToken: boolean }) {
  return (
    <header class="top">
      <a class="brand" href={paths.deployments()}>
        <Mark />
        <span>Deployment API Keys</span>
      </a>
      <nav aria-label="Main">
        <a href={paths.deployments()} aria-current={isToken ? undefined : 'true'}>
          Deployments
        </a>
        <a href={paths.token()} aria-current={isToken ? 'page' : undefined}>
          Temporary token
        </a>
      </nav>
      <div class="person">
        <span class="who">{person}</span>
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

// Reloads a page that the browser restored from its cache, for example by the back button after signing out.
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());

const root = document.getElementById('app');
if (root) {
  render(
    <LocationProvider scope={/^\/(console|token)(?=[/?]|$)/}>
      <App />
    </LocationProvider>,
    root,
  );
}
