/**
 * Admission comes first on the cores: an API server waits for it, and nobody waits for the rest within milliseconds. The kernel gives a core to what waits less often
 * than to what works long, but a review that arrives while V8's helpers collect the alert thread's garbage waited up to 4 ms behind them all the same.
 *
 * On Linux each thread has a nice value of its own, and any may raise it (https://man7.org/linux/man-pages/man2/setpriority.2.html, "C library/kernel differences").
 * It counts between the threads of one container, not between containers.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'

/** Leaves them a tenth of a core that admission wants all of: no flood of reviews stops alerts from being read. */
const STEPS = 10

const lower = (thread: number): void => {
  const main = getPriority(process.pid)
  setPriority(thread, Math.min(constants.priority.PRIORITY_LOW, main + STEPS))
}

const attempt = (act: () => void): void => {
  try {
    act()
  } catch {
    // Not Linux, not allowed, or the thread has ended: it is a help, no condition.
  }
}

/** Lowers every thread of this process that there is, but the main one: V8's helpers, those of libuv. */
export function lowerOtherThreads(): void {
  attempt(() => {
    for (const thread of readdirSync('/proc/self/task').map(Number))
      if (thread !== process.pid) attempt(() => lower(thread))
  })
}

/** Lowers the thread that calls, and those that it starts. */
export function lowerThisThread(): void {
  attempt(() => lower(Number(readlinkSync('/proc/thread-self').split('/').at(-1))))
}
