/**
 * How the memory of a container is shared out.
 *
 * Node 24 gives every thread the same limit: half of a container's memory, at least 256 MiB (measured: 256 MiB each in a container of 256 and of 512 MiB, 512 MiB
 * in one of 1 GiB). Two threads of that size and what lies outside of heaps do not fit, and the kernel then ends the whole process. So the alert thread, which
 * others can fill, gets a quarter: it ends alone, and admission goes on.
 */
import { availableParallelism, totalmem } from 'node:os'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const MEBIBYTE = 1024 * 1024
/** The thread needs 25 MiB to start, and room for one batch of the audit log beside it. */
const SMALLEST_HEAP = 64
/** What Node gives a thread where memory is plenty. */
const LARGEST_HEAP = 4096
/** Bodies of alerts under way lie outside of heaps. No more than this, however large the container. */
const MOST_BODIES = 256 * MEBIBYTE
/** Two batches of the audit log, which is the largest that is taken (16 MiB). */
const LEAST_BODIES = 32 * MEBIBYTE
/** Garbage that a thread may have beside what it uses, in a container of 256 MiB and where memory is plenty. */
const LEAST_GARBAGE = 16 * MEBIBYTE
const MOST_GARBAGE = 64 * MEBIBYTE

/** Bytes that this process may use: the limit of its container, or all of the machine. */
export function memoryLimit(): number {
  const constrained = process.constrainedMemory()
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
}

/** The alert thread's heap in MiB. @param limit bytes */
export function alertHeapMegabytes(limit: number): number {
  return Math.min(LARGEST_HEAP, Math.max(SMALLEST_HEAP, Math.floor(limit / 4 / MEBIBYTE)))
}

/** Bytes of alert bodies that may be under way together: an eighth of the memory. @param limit bytes */
export function alertBodiesBytes(limit: number): number {
  return Math.min(MOST_BODIES, Math.max(LEAST_BODIES, Math.floor(limit / 8)))
}

/**
 * Gives back what the start of this thread needed and nothing needs any more: source text that was compiled, rows of the ledger. V8 would wait for an
 * occasion, which a server that is hardly asked does not have for hours. Once, before the first request. Measured on a busy
 * machine: less than 0.1 s in each thread, half a second with 100,000 verdicts.
 */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('globalThis.gc') as ((options: object) => void) | undefined
  setFlagsFromString('--no-expose-gc')
  // The flavor that moves what is left together, so that whole pages go back.
  collect?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

/**
 * V8's setting of how much the old memory of a thread may grow before all of it is collected again, in percent of what the thread uses then; never more than halfway
 * to the limit of its heap. With few verdicts V8's own choice was some 8 MiB: 20,000 alerts a second leave more than that several times a second, each time both
 * cores are taken for 20 ms, and reviews wait.
 *
 * @param limit bytes of the container
 * @param used bytes of the heap when everything is loaded
 */
export function garbageFlag(limit: number, used: number): string {
  const garbage = Math.min(MOST_GARBAGE, Math.max(LEAST_GARBAGE, limit / 16))
  return `--heap-growing-percent=${Math.max(20, Math.min(400, Math.round((100 * garbage) / used)))}`
}

/** Applies `garbageFlag` to all threads, by what this one uses now: V8 has one setting for all. Limits of heaps hold all the same. */
export function letGarbageGrow(): void {
  setFlagsFromString(garbageFlag(memoryLimit(), getHeapStatistics().used_heap_size))
}

/**
 * V8's settings of how young garbage is collected. On two cores each thread does it by itself: V8's four helpers would wait for the core on which the other thread
 * works, and take it. Measured under 20,000 alerts a second: 2.9 ms a collection, 4.6 with helpers.
 */
export function youngGarbageFlags(cores: number): readonly string[] {
  return cores <= 2 ? ['--no-parallel-scavenge'] : []
}

/** Applies `youngGarbageFlags`. Before any other thread starts. */
export function chooseHelpers(): void {
  for (const flag of youngGarbageFlags(availableParallelism())) setFlagsFromString(flag)
}
