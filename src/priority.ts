/**
 * Admission comes first on the cores: an API server waits for it, and nobody waits for the rest within milliseconds. The kernel gives a core to what waits less often
 * than to what works long, but a review that arrives while V8's helpers collect the alert thread's garbage waited up to 4 ms behind them all the same.
 *
 * On Linux each thread has a nice value of its own, and any may raise it (https://man7.org/linux/man-pages/man2/setpriority.2.html, "C library/kernel differences").
 * It counts between the threads of one container; between containers only where they share a CPU control group, as programs without containers do.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'

/** Leaves them a tenth of a core that admission wants all of: no flood of reviews stops alerts from being read, though on a machine of one core they take five times as long. */
const STEPS = 10

const attempt = (act: () => void): void => {
  try {
    act()
  } catch {
    // Not Linux, not allowed, or the thread has ended: it is a help, no condition.
  }
}

/** Lowers every thread of this process that there is, but the main one: V8's helpers, those of libuv, workers. What a lowered thread starts is as low. */
export function lowerOtherThreads(): void {
  attempt(() => {
    // Another PID namespace's /proc: its numbers are other processes'.
    if (readlinkSync('/proc/self') !== String(process.pid)) return
    const lowered = Math.min(constants.priority.PRIORITY_LOW, getPriority(process.pid) + STEPS)
    for (const thread of readdirSync('/proc/self/task').map(Number))
      if (thread !== process.pid) attempt(() => setPriority(thread, lowered))
  })
}
