/** What the cluster's containers cost in memory. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { directoryOf } from './pods.ts'
import type { Effort, Figure, Measurement } from './types.ts'

const PODS = 10_000

function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

function run(_effort: Effort): Promise<readonly Figure[]> {
  directoryOf(10)
  const before = heapBytes()
  const directory = directoryOf(PODS)
  const bytes = heapBytes() - before
  const value = bytes / directory.size()
  return Promise.resolve([
    { what: 'memory of one pod in the container directory', value, unit: 'B', note: `${PODS} pods of one container` },
  ])
}

export const directoryMemory: Measurement = { name: 'directory-memory', run }
