/**
 * Starts processes with the memory that the chart gives a container: Node chooses the size of its young generation by it, and on a machine of 24 GiB that
 * grows to twice 64 MiB before it is collected.
 */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { load } from 'js-yaml'

import { root } from '../process/server.ts'

/** Where memory is limited: control groups of version 2 and 1 (https://docs.kernel.org/admin-guide/cgroup-v2.html). */
const HIERARCHIES = [
  { folder: '/sys/fs/cgroup', limit: 'memory.max' },
  { folder: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes' },
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

/** Undefined: this machine does not let us (no root, or no such control groups). @param mebibytes of memory */
export function enterContainer(mebibytes: number): Container | undefined {
  for (const { folder, limit } of HIERARCHIES) {
    const made = join(folder, `drawbridge-bench-${process.pid}-${entered++}`)
    try {
      mkdirSync(made)
    } catch {
      continue
    }
    try {
      // The kernel makes its files; a folder of another file system has none.
      writeFileSync(join(made, limit), String(mebibytes * 1024 * 1024), { flag: 'r+' })
      writeFileSync(join(made, 'cgroup.procs'), String(process.pid))
    } catch {
      rmdirSync(made)
      continue
    }
    return {
      leave: () => writeFileSync(join(folder, 'cgroup.procs'), String(process.pid)),
      remove: () => rmdirSync(made),
    }
  }
  return undefined
}
