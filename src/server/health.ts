/** Health answers in the form of kube-apiserver's, which people and tools on call know. */
import type { Reply } from './reply.ts'

/** One named thing that has to be well. */
export interface HealthCheck {
  /** As it is shown: `tls`, `verdicts`. */
  readonly name: string
  /** Why it is not well, one line without secrets (the answer is open to everybody); undefined: it is. Must be quick and must not throw. */
  readonly problem: () => string | undefined
}

/**
 * `ok`, or with `verbose` a line for each check; always the lines, with 503, when a check failed.
 *
 * @param endpoint `livez` or `readyz`, for the last line
 */
export function healthReply(endpoint: string, checks: readonly HealthCheck[], verbose: boolean): Reply {
  const results = checks.map(({ name, problem }) => ({ name, problem: problem() }))
  const failed = results.some(({ problem }) => problem !== undefined)
  const lines = results.map(({ name, problem }) =>
    problem === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${problem}\n`,
  )
  const body = failed || verbose ? `${lines.join('')}${endpoint} check ${failed ? 'failed' : 'passed'}\n` : 'ok\n'
  return { status: failed ? 503 : 200, contentType: 'text/plain; charset=utf-8', body }
}
