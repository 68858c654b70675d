/** The names of the metrics that functions write and infra watches, and of their one dimension. */
export const METRIC = {
  namespace: 'DeploymentApiKeys',
  /** Its value is the name of the stack, so that two stacks in an account do not mix. */
  dimension: 'stack',
  /** Calls of /oauth/* that ended in invalid_client. */
  refusedAuthentications: 'RefusedAuthentications',
} as const;
