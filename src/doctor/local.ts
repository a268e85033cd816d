/** What is looked at of a server whose data folder is on this machine, without a cluster. */
import { sumOf } from './metrics.ts'
import { sensorFindings } from './checks/sensors.ts'
import { ok, problem, warning } from './text.ts'
import type { Finding, LocalServer } from './types.ts'

const SOON_SECONDS = 14 * 86_400
const START = 'start it: drawbridge serve --standalone --data DIR'

/** `[-]verdicts failed: ...` of `/readyz?verbose` as findings. */
export function healthFindings({ health, replica }: LocalServer): readonly Finding[] {
  if (replica.why !== undefined) return [problem(`the server does not answer: ${replica.why}`, START)]
  const failed = health.filter((line) => line.startsWith('[-]'))
  return failed.length > 0
    ? failed.map((line) => problem(`not ready: ${line.slice(3)}`, 'see its log'))
    : [ok(`ready: ${health.flatMap((line) => /^\[\+\](\S+) ok$/.exec(line)?.[1] ?? []).join(', ')}`)]
}

export function certificateFindings({ replica }: LocalServer): readonly Finding[] {
  if (replica.metrics === undefined) return []
  const [leaf, authority] = ['leaf', 'authority'].map((certificate) =>
    sumOf(replica.metrics!, 'drawbridge_certificate_expiry_seconds', { certificate }),
  ) as [number, number]
  const left = Math.min(leaf, authority)
  const days = Math.floor(left / 86_400)
  return [
    left < SOON_SECONDS
      ? warning(`the certificate or its authority expires in ${days} days`, 'docs/certificates.md says who renews it')
      : ok(`certificates are valid for ${days} days`),
  ]
}

/** What is said of a server without a cluster, by the word that it is shown under. */
export const localFindings = (server: LocalServer, now: number): readonly (readonly [string, readonly Finding[]])[] => [
  ['server', healthFindings(server)],
  ['certificate', certificateFindings(server)],
  ['sensors', server.replica.metrics === undefined ? [] : sensorFindings([server.replica], now)],
]
