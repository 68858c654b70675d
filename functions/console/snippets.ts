import { kindOf, type TrustedIssuer } from './issuers.ts';

/**
 * Ready-made steps for CI. The secret comes from the CI's secret store. The steps pass it to curl on standard input and
 * never as an argument, because every process on the machine can read arguments. The steps work in POSIX shells and in
 * zsh, where the names `status` and `path` are reserved.
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
  /** The CI system for which the snippet is written. */
  label: string;
  /** Instructions for first storing the secret in the CI system. */
  store: string;
  /** A few lines that get an access token and call the API. */
  short: (input: SnippetInput) => string;
  /**
   * A shell script that gets a token and calls the API with only curl, retries failed calls, and renews the token once.
   */
  hardened: (input: SnippetInput) => string;
}

/** Path where a user's repository contains a copy of this project. */
const COPY = 'acme/deployment-api-keys';

/** A GitLab job that calls the API with the token that the component provides. */
const gitlabDeploy = (service: string) => `deploy:
  extends: .deployment-token
  variables:
    API: ${service}/whoami
  script:
    - |
      printf 'Authorization: Bearer %s' "$DEPLOYMENT_TOKEN" | curl -fsS -H @- "$API"
`;

export const SNIPPETS: readonly Snippet[] = [
  {
    id: 'github',
    label: 'GitHub Actions',
    store:
      `Settings → Secrets and variables → Actions: add the secret as ${SECRET_NAME}. ` +
      `Replace ${COPY} with your copy of this project.`,
    short: ({ keyId, service }) => `- uses: ${COPY}/integrations/github-action@v0.2.0
  id: deployment
  with:
    url: ${service}
    key-id: ${keyId}
    key-secret: \${{ secrets.${SECRET_NAME} }}
- run: |
    printf 'Authorization: Bearer %s' "$TOKEN" | curl -fsS -H @- "$API"
  env:
    TOKEN: \${{ steps.deployment.outputs.token }}
    API: ${service}/whoami
`,
    hardened: (input) => `- name: Call with a Deployment key
  env:
    ${SECRET_NAME}: \${{ secrets.${SECRET_NAME} }}
  run: |
${indented(4, script(input, bySecret(input), MASKED))}`,
  },
  {
    id: 'gitlab',
    label: 'GitLab CI',
    store:
      `Settings → CI/CD → Variables: add the secret as ${SECRET_NAME}, masked and protected. ` +
      `Replace ${COPY} with your copy of the component. The image needs curl.`,
    short: ({ keyId, service }) => `include:
  - component: $CI_SERVER_FQDN/${COPY}/token@0.2.0
    inputs:
      url: ${service}
      key-id: ${keyId}
      secret-variable: ${SECRET_NAME}
${gitlabDeploy(service)}`,
    hardened: (input) => `call-with-deployment-key:
  script:
    - |
${indented(6, script(input, bySecret(input)))}`,
  },
  {
    id: 'circleci',
    label: 'CircleCI',
    store: `Project settings → Environment variables, or a context: add the secret as ${SECRET_NAME}. Then add this step. The image needs curl and jq.`,
    short: (input) => `- run: |
${indented(4, fourLines(input))}`,
    hardened: (input) => `- run:
    name: Call with a Deployment key
    command: |
${indented(6, script(input, bySecret(input)))}`,
  },
  {
    id: 'curl',
    label: 'curl',
    store: `Set ${SECRET_NAME} from your secret store. Needs curl and jq. The script below needs only curl, and asks for the secret when you paste it into a shell.`,
    short: fourLines,
    hardened: (input) => `(
set +x
${promptFor('Secret', SECRET_NAME)}${withoutComments(script(input, bySecret(input)))})
`,
  },
];

/** Gets a token and calls the API. The secret and the token are passed to curl on standard input. */
function fourLines({ keyId, service }: SnippetInput): string {
  return `ANSWER=$(printf 'user = "%s:%s"' '${keyId}' "$${SECRET_NAME}" |
  curl -fsS -K - --retry 4 -d grant_type=client_credentials '${service}/oauth/token')
TOKEN=$(printf '%s' "$ANSWER" | jq -er .access_token)
printf 'Authorization: Bearer %s' "$TOKEN" | curl -fsS -H @- '${service}/whoami'
`;
}

/** Masks a value in the log of GitHub Actions. */
const MASKED = `echo "::add-mask::$token"`;

const bySecret = ({ keyId }: SnippetInput) =>
  `request "user = \\"${keyId}:$${SECRET_NAME}\\"" --data grant_type=client_credentials "$service/oauth/token"`;

/** Input for the CI step of a key that trusts an issuer. */
export interface TrustInput extends SnippetInput {
  issuer: TrustedIssuer;
  /** The required audience of the CI's token. */
  audience: string;
}

/** A ready-made step for a key without a secret. */
export interface TrustStep {
  /** Instructions to show together with the step. */
  hint: string;
  /** A few lines that get an access token and call the API. */
  short: string;
  /**
   * A shell script that gets a token and calls the API with only curl, retries failed calls, and renews the token once.
   */
  hardened: string;
}

/** Returns the step that exchanges the CI's own token. The token is passed to curl on standard input. */
export function trustStep(input: TrustInput): TrustStep {
  const { issuer, audience, keyId, service } = input;
  const kind = kindOf(issuer);
  const quoted = `'${audience.replaceAll("'", "''")}'`;
  if (kind === 'github') {
    return {
      hint: `Add these steps to a job with permissions: {contents: read, id-token: write}. There is nothing to store. Replace ${COPY} with your copy of this project.`,
      short: `- uses: ${COPY}/integrations/github-action@v0.2.0
  id: deployment
  with:
    url: ${service}
    key-id: ${keyId}
${audience === service ? '' : `    audience: ${quoted}\n`}- run: |
    printf 'Authorization: Bearer %s' "$TOKEN" | curl -fsS -H @- "$API"
  env:
    TOKEN: \${{ steps.deployment.outputs.token }}
    API: ${service}/whoami
`,
      hardened: `- name: Call with a Deployment key
  run: |
${indented(4, script(input, `${askGitHub(audience)}\n  ${bySubject(input)}`, MASKED))}`,
    };
  }
  if (kind === 'gitlab') {
    const job = (body: string) => `call-with-deployment-key:
  id_tokens:
    ${SUBJECT_NAME}:
      aud: ${quoted}
  script:
    - |
${indented(6, body)}`;
    return {
      hint: `Add this to your pipeline. There is nothing to store. Replace ${COPY} with your copy of the component. The image needs curl${audience === service ? '' : ' and jq'}.`,
      // The component can only request a token whose audience is the service's URL.
      short:
        audience !== service
          ? job(subjectLines(input))
          : `include:
  - component: $CI_SERVER_FQDN/${COPY}/token@0.2.0
    inputs:
      url: ${service}
      key-id: ${keyId}
${gitlabDeploy(service)}`,
      hardened: job(script(input, bySubject(input))),
    };
  }
  return {
    hint: `Request a token with the audience ${audience} from your CI, and put it into the variable ${SUBJECT_NAME}. The lines need curl and jq.`,
    short: subjectLines(input),
    hardened: script(input, bySubject(input)),
  };
}

/** Exchanges the CI's own token and calls the API. Both tokens are passed to curl on standard input. */
function subjectLines({ keyId, service }: TrustInput): string {
  return `ANSWER=$(printf 'data = "${subjectForm(keyId)}%s"' "$${SUBJECT_NAME}" |
  curl -fsS -K - --retry 4 '${service}/oauth/token')
TOKEN=$(printf '%s' "$ANSWER" | jq -er .access_token)
printf 'Authorization: Bearer %s' "$TOKEN" | curl -fsS -H @- '${service}/whoami'
`;
}

/** Name of the environment variable that holds the CI's own token. */
export const SUBJECT_NAME = 'CI_SUBJECT_TOKEN';

/** Requests the job's token from GitHub. */
const askGitHub = (audience: string) =>
  `request "header = \\"Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\\"" \\
    "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=${encodeURIComponent(audience)}"
  if [ "$code" != 200 ]; then echo "No token of GitHub: HTTP $code" >&2; exit 1; fi
  ${SUBJECT_NAME}=$(printf '%s' "$body" | sed -n 's/.*"value" *: *"\\([A-Za-z0-9_.-]*\\)".*/\\1/p')`;

/** Exchanges a token (RFC 8693). The token does not contain characters that need to be encoded in a form. */
const bySubject = ({ keyId }: TrustInput) =>
  `request "data = \\"${subjectForm(keyId)}$${SUBJECT_NAME}\\"" "$service/oauth/token"`;

/** Returns the form that the exchange sends, up to the token. */
const subjectForm = (keyId: string) =>
  `grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=${keyId}&\
subject_token_type=urn:ietf:params:oauth:token-type:jwt&subject_token=`;

/**
 * Returns a script that gets an access token and calls the API.
 * @param exchange the line that requests an access token
 * @param onToken line to run with each new access token, for a CI that can mask it
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
 * Returns a snippet for using a temporary token in a shell. The snippet prompts for the token, to keep it out of the
 * shell's history.
 */
export function temporaryTokenSnippet({ service }: Pick<SnippetInput, 'service'>): string {
  return `(
set +x
${promptFor('Token', 'DEPLOYMENT_TOKEN')}printf 'header = "Authorization: Bearer %s"\\n' "$DEPLOYMENT_TOKEN" |
  curl --fail --silent --show-error --config - '${service}/whoami'
)
`;
}

/**
 * Prompts for the value of a variable that is not set. Ignores empty lines, because a pasted snippet ends with an empty
 * line.
 */
function promptFor(what: string, name: string): string {
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

/** Removes comments, because an interactive zsh does not accept them. */
function withoutComments(text: string): string {
  return text.replace(/^# .*\n| # .*$/gm, '');
}

function indented(columns: number, text: string): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(columns));
}
