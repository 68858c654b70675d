import { readFileSync } from 'node:fs';

/** An error whose message explains the problem to the author of a workflow. The message contains no secrets. */
export class Failure extends Error {}

/** Explains why the job may have no secrets and no OIDC token. Returns an empty string if no reason is known. */
export function hintOfEvent(): string {
  if (process.env.GITHUB_ACTOR === 'dependabot[bot]') {
    return ' Runs that Dependabot starts get only the secrets that are set for Dependabot.';
  }
  return isFromFork() ? ' Pull requests from forks get no secrets and no OIDC token.' : '';
}

function isFromFork(): boolean {
  try {
    const event = JSON.parse(readFileSync(process.env.GITHUB_EVENT_PATH ?? '', 'utf8'));
    return event.pull_request.head.repo.id !== event.pull_request.base.repo.id;
  } catch {
    // Treat the job as not from a fork, because the event is not a pull request, or the fork was deleted.
    return false;
  }
}
