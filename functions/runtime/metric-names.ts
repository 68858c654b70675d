/** The names of the metrics that functions write and infra watches, and of the dimension that all have. */
export const METRIC = {
  namespace: 'DeploymentApiKeys',
  /** Its value is the name of the stack, so that two stacks in an account do not mix. */
  dimension: 'stack',
  /** Calls of /oauth/* that ended in invalid_client. */
  refusedAuthentications: 'RefusedAuthentications',
  /** Checks that ended in a refusal; a second dimension, `reason`, says why. */
  checksRefused: 'ChecksRefused',
  /** Checks that ended in an error, and so in a 500: the store gave no certain answer. */
  checksFailed: 'ChecksFailed',
} as const;
