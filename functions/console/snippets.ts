import { GITLAB, isGitHub } from './issuers.ts';

/**
 * Ready-made steps for CI. The secret comes from the CI's secret store and reaches curl on standard input, never as an
 * argument, because every process on the machine can read arguments. The steps work in POSIX shells and in zsh, where
 * the names `status` and `path` are reserved.
 */
export interface SnippetInput {
  keyId: string;
  /** URL of the service, without a trailing slash. */
  service: string;
}

/** Name of the secret in the CI's secret store. */
export const SECRET_NAME = 'DEPLOYMENT_KEY_SECRET';

export interface Snippet {
  id: string;
  /** The CI that the snippet is for. */
  label: string;
  /** Where to store the secret first. */
  store: string;
  code: (input: SnippetInput) => string;
}

export const SNIPPETS: readonly Snippet[] = [
  {
    id: 'github',
    label: 'GitHub Actions',
    store: `Settings → Secrets and variables → Actions: add the secret as ${SECRET_NAME}. Then add this step.`,
    code: (input) => `- name: Call with a Deployment key
  env:
    ${SECRET_NAME}: \${{ secrets.${SECRET_NAME} }}
  run: |
${indented(4, script(input, bySecret(input), MASKED))}`,
  },
  {
    id: 'gitlab',
    label: 'GitLab CI',
    store: `Settings → CI/CD → Variables: add the secret as ${SECRET_NAME}, masked and protected. The image needs curl.`,
    code: (input) => `call-with-deployment-key:
  script:
    - |
${indented(6, script(input, bySecret(input)))}`,
  },
  {
    id: 'circleci',
    label: 'CircleCI',
    store: `Project settings → Environment variables, or a context: add the secret as ${SECRET_NAME}. Then add this step.`,
    code: (input) => `- run:
    name: Call with a Deployment key
    command: |
${indented(6, script(input, bySecret(input)))}`,
  },
  {
    id: 'curl',
    label: 'curl',
    store: `Paste this into a shell, which then asks for the secret. In a script, set ${SECRET_NAME} from your secret store.`,
    code: (input) => `(
set +x
${asked('Secret', SECRET_NAME)}${withoutComments(script(input, bySecret(input)))})
`,
  },
];

/** Hides a value in the log of GitHub Actions. */
const MASKED = `echo "::add-mask::$token"`;

const bySecret = ({ keyId }: SnippetInput) =>
  `request "user = \\"${keyId}:$${SECRET_NAME}\\"" --data grant_type=client_credentials "$service/oauth/token"`;

/** Input of a step for a key that trusts an issuer. */
export interface TrustInput extends SnippetInput {
  issuer: string;
  /** The required audience of the CI's token. */
  audience: string;
}

/**
 * Returns a ready-made step for a key without a secret. It exchanges the CI's own token, which reaches curl on standard
 * input.
 */
export function trustSnippet(input: TrustInput): { hint: string; code: string } {
  const { issuer, audience } = input;
  if (isGitHub(issuer)) {
    return {
      hint: 'Add this step to a job with permissions: {id-token: write}. There is nothing to store.',
      code: `- name: Call with a Deployment key
  run: |
${indented(4, script(input, `${askGitHub(audience)}\n  ${bySubject(input)}`, MASKED))}`,
    };
  }
  if (issuer === GITLAB) {
    return {
      hint: 'Add this job, or copy its parts to yours. There is nothing to store. The image needs curl.',
      code: `call-with-deployment-key:
  id_tokens:
    ${SUBJECT_NAME}:
      aud: '${audience.replaceAll("'", "''")}'
  script:
    - |
${indented(6, script(input, bySubject(input)))}`,
    };
  }
  return {
    hint: `Request a token with the audience ${audience} from your CI, and put it into the variable ${SUBJECT_NAME}.`,
    code: script(input, bySubject(input)),
  };
}

/** Name of the variable with the CI's own token. */
export const SUBJECT_NAME = 'CI_SUBJECT_TOKEN';

/** Requests the job's token from GitHub. */
const askGitHub = (audience: string) =>
  `request "header = \\"Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\\"" \\
    "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=${encodeURIComponent(audience)}"
  if [ "$code" != 200 ]; then echo "No token of GitHub: HTTP $code" >&2; exit 1; fi
  ${SUBJECT_NAME}=$(printf '%s' "$body" | sed -n 's/.*"value" *: *"\\([A-Za-z0-9_.-]*\\)".*/\\1/p')`;

/** Exchanges a token (RFC 8693). The token contains no characters that a form would have to encode. */
const bySubject = ({ keyId }: TrustInput) =>
  `request "data = \\"grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=${keyId}&\
subject_token_type=urn:ietf:params:oauth:token-type:jwt&subject_token=$${SUBJECT_NAME}\\"" "$service/oauth/token"`;

/**
 * Returns a script that gets an access token and calls the API.
 * @param exchange the line that requests an access token
 * @param onToken what to do with a new access token, for a CI that can mask it
 */
function script({ service }: SnippetInput, exchange: string, onToken?: string): string {
  return `set -eu +x
service='${service}'
api="$service/whoami" # the API to call

# Calls curl with its configuration on standard input; sets $code and $body.
request() {
  config=$1; shift
  for pause in 1 2 4 8 0; do
    answer=$(printf '%s\\n' "$config" |
      curl --silent --show-error --max-time 30 --config - --write-out ' %{http_code}' "$@")
    code=\${answer##* } body=\${answer% *}
    case $code in
      429|503) if [ $pause -gt 0 ]; then sleep $((pause + $(od -An -N1 -tu1 /dev/urandom) % (pause + 1))); fi ;;
      *) return 0 ;;
    esac
  done
}
exchange() {
  ${exchange}
  if [ "$code" != 200 ]; then echo "No access token: HTTP $code" >&2; exit 1; fi
  token=$(printf '%s' "$body" | sed -n 's/.*"access_token" *: *"\\([A-Za-z0-9_-]*\\)".*/\\1/p')
  if [ -z "$token" ]; then echo "No access token in the answer" >&2; exit 1; fi
${onToken ? `  ${onToken}\n` : ''}}
call() { request "header = \\"Authorization: Bearer $token\\"" "$api"; }

exchange
call
case $code in 401|403) exchange; call ;; esac # once: the token may have been revoked
case $code in
  2??) printf '%s\\n' "$body" ;;
  *) echo "Refused: HTTP $code" >&2; exit 1 ;;
esac
`;
}

/**
 * Returns a snippet to use a temporary token in a shell. It prompts for the token, to keep it out of the shell's
 * history.
 */
export function temporaryTokenSnippet({ service }: Pick<SnippetInput, 'service'>): string {
  return `(
set +x
${asked('Token', 'DEPLOYMENT_TOKEN')}printf 'header = "Authorization: Bearer %s"\\n' "$DEPLOYMENT_TOKEN" |
  curl --fail --silent --show-error --config - '${service}/whoami'
)
`;
}

/** Prompts for a variable that is not set. Ignores empty lines, because a pasted snippet ends with one. */
function asked(what: string, name: string): string {
  const isUnset = `[ -z "\${${name}:-}" ]`;
  return `if ${isUnset}; then
  trap 'stty echo </dev/tty; exit 130' INT
  printf '${what}: ' >/dev/tty
  stty -echo </dev/tty
  while ${isUnset} && read -r ${name} </dev/tty; do :; done
  stty echo </dev/tty
  echo >/dev/tty
fi
`;
}

/** Removes comments, which an interactive zsh does not accept. */
function withoutComments(text: string): string {
  return text.replace(/^# .*\n| # .*$/gm, '');
}

function indented(columns: number, text: string): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(columns));
}
