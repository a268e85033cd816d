/** What a started server prints: where it listens, and three lines to try it. */
import { sources } from '../alerts/sources/index.ts'

/** The text for people. `examples` are the files of this repository, so the lines work where the server was started. */
export function banner(
  server: { readonly webhook: string; readonly alerts: string; readonly admin: string; readonly ca: string },
  options: { readonly standalone: boolean; readonly data: string },
): string {
  const { webhook, alerts, admin } = server
  const lines = [
    options.standalone ? 'Drawbridge is up (standalone: no cluster, SQLite ledger).' : 'Drawbridge is up.',
    '',
    `  webhook  ${webhook}/mutate and /validate`,
    `  alerts   ${alerts}/alerts/<sensor> (token: ${options.data}/alert-token)`,
    `           sensors: ${sources.map(({ name }) => name).join(', ')}`,
    `  admin    ${admin}/livez, /readyz, /metrics and /api/v1/verdicts (token: ${options.data}/admin-token)`,
    `  CA       ${server.ca}`,
    '',
  ]
  if (options.standalone) {
    const curl = `curl -s --cacert ${options.data}/tls/ca.crt -H 'Content-Type: application/json'`
    lines.push(
      'Try it from another terminal: a pod that is mutated, a pod that is denied, and an alert after which the image is denied.',
      '',
      `  ${curl} -d @examples/reviews/plain-pod.json ${webhook}/mutate`,
      `  ${curl} -d @examples/reviews/privileged-pod.json ${webhook}/validate`,
      `  sed "s/@TIME@/$(date -u +%Y-%m-%dT%H:%M:%SZ)/" examples/alerts/dropped-executable.json | ${curl} -u "falco:$(cat ${options.data}/alert-token)" -d @- ${alerts}/alerts/falco && ${curl} -d @examples/reviews/flagged-image.json ${webhook}/validate`,
      '',
      `Or the whole story as a table: make demo${options.data === 'data' ? '' : ` DATA=${options.data}`}`,
      '',
    )
  }
  return `${lines.join('\n')}\n`
}
