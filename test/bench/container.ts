/**
 * Starts processes with the memory that the chart gives a container: Node chooses the size of its young generation by it, and on a machine of 24 GiB that
 * grows to twice 64 MiB before it is collected.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { load } from 'js-yaml'

import { root } from '../process/server.ts'

/** Where memory is limited, and the line of /proc/self/cgroup that says which group a process is in: version 2 and 1 (https://docs.kernel.org/admin-guide/cgroup-v2.html). */
const HIERARCHIES = [
  { folder: '/sys/fs/cgroup', limit: 'memory.max', own: /^0::(.*)$/m },
  { folder: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes', own: /^\d+:memory:(.*)$/m },
] as const

/** MiB that the chart limits a container of Drawbridge to. */
export function chartMemory(): number {
  const values = load(readFileSync(join(root, 'manifests/chart/values.yaml'), 'utf8')) as {
    readonly resources: { readonly limits: { readonly memory: string } }
  }
  const [, number] = /^(\d+)Mi$/.exec(values.resources.limits.memory) ?? []
  if (number === undefined) throw new Error(`limits.memory of the chart is not in Mi`)
  return Number(number)
}

/** A limit for this process, until it leaves, and for what it starts meanwhile, for good. */
export interface Container {
  leave(): void
  /** When what was started has ended. */
  remove(): void
}

let entered = 0
/** The kernel makes the files of a group; a folder of another file system has none. */
const EXISTING = { flag: 'r+' } as const

/** Undefined: this machine does not let us (no root, or no such control groups). @param mebibytes of memory */
export function enterContainer(mebibytes: number): Container | undefined {
  // Linux only.
  const ours = existsSync('/proc/self/cgroup') ? readFileSync('/proc/self/cgroup', 'utf8') : ''
  for (const { folder, limit, own } of HIERARCHIES) {
    const path = own.exec(ours)?.[1]
    if (path === undefined) continue
    // Beside our own group: one that holds processes may hold no groups with limits.
    const made = join(folder, dirname(path), `drawbridge-bench-${process.pid}-${entered++}`)
    const remove = (): void => {
      try {
        rmdirSync(made)
      } catch {
        // Something in it has not ended; an empty group costs nothing.
      }
    }
    const enter = (group: string): void => writeFileSync(join(group, 'cgroup.procs'), String(process.pid), EXISTING)
    try {
      mkdirSync(made)
      writeFileSync(join(made, limit), String(mebibytes * 1024 * 1024), EXISTING)
      enter(made)
    } catch {
      remove()
      continue
    }
    return { leave: () => enter(join(folder, path)), remove }
  }
  return undefined
}
