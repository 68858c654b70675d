import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/**
 * Length of the period to which a CPU quota applies, in microseconds. Lambda's period is believed to be 20 ms; AWS does
 * not document it.
 */
const PERIOD = 20_000;
/** The memory, in MB, for which Lambda gives a function the equivalent of one vCPU (AWS, "Configure Lambda function memory"). */
const ONE_CPU = 1769;

/** A group of processes that share a CPU quota. */
export interface Quota {
  /** Limits the group to the CPU share of a Lambda function with this memory, in MB. */
  set(memory: number): void;
  /** Moves a process into the group. */
  add(pid: number): void;
  /** Deletes the group. All its processes must have ended. */
  remove(): void;
}

/**
 * Creates a control group for a CPU quota, with version 1 or 2 of Linux's control groups.
 *
 * @returns the group, or the reason why this process is not allowed to create it
 */
export function cpuQuota(): Quota | string {
  try {
    return existsSync('/sys/fs/cgroup/cgroup.controllers') ? version2() : version1();
  } catch (error) {
    return (error as Error).message;
  }
}

function version1(): Quota {
  const folder = make('/sys/fs/cgroup/cpu');
  return group(folder, (quota) => {
    writeFileSync(join(folder, 'cpu.cfs_period_us'), String(PERIOD));
    writeFileSync(join(folder, 'cpu.cfs_quota_us'), String(quota));
  });
}

function version2(): Quota {
  const root = '/sys/fs/cgroup';
  // Writing to the root group fails in a container, because the root group that the container sees contains processes.
  const enabled = readFileSync(join(root, 'cgroup.subtree_control'), 'utf8').split(/\s/);
  if (!enabled.includes('cpu')) writeFileSync(join(root, 'cgroup.subtree_control'), '+cpu');
  const folder = make(root);
  return group(folder, (quota) => writeFileSync(join(folder, 'cpu.max'), `${quota} ${PERIOD}`));
}

function make(root: string): string {
  accessSync(root, constants.W_OK);
  removeAbandoned(root);
  const folder = join(root, `bench-${process.pid}`);
  mkdirSync(folder);
  return folder;
}

/** Deletes the groups of runs that were interrupted. The kernel does not delete a group that contains a process. */
function removeAbandoned(root: string): void {
  for (const name of readdirSync(root).filter((it) => /^bench-\d+$/.test(it))) {
    if (existsSync(`/proc/${name.slice('bench-'.length)}`)) continue;
    try {
      rmdirSync(join(root, name));
    } catch {
      // A process of the interrupted run has not ended yet. A later run deletes the group.
    }
  }
}

function group(folder: string, limit: (quota: number) => void): Quota {
  const quota: Quota = {
    set: (memory) => limit(Math.round((PERIOD * memory) / ONE_CPU)),
    add: (pid) => writeFileSync(join(folder, 'cgroup.procs'), String(pid)),
    remove: () => rmdirSync(folder),
  };
  try {
    quota.set(ONE_CPU);
    return quota;
  } catch (error) {
    quota.remove();
    throw error;
  }
}
