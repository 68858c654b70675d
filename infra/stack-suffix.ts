import { Aws, Fn } from 'aws-cdk-lib';

/**
 * The last part of the stack's UUID: 12 hexadecimal digits. This part makes a resource name unique, even if a stack is
 * deleted and recreated under the same name.
 */
export const stackSuffix = (): string => {
  const uuid = Fn.select(2, Fn.split('/', Aws.STACK_ID));
  return Fn.select(4, Fn.split('-', uuid));
};
