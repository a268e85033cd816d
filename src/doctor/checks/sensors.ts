/** Do sensors send, are their alerts let in and understood, and are the effects written? From the metrics of every replica. */
import { age } from '../../cli/io.ts'
import { sumOf } from '../metrics.ts'
import type { Metrics } from '../metrics.ts'
import { count, ok, some, unknown, warning } from '../text.ts'
import type { Check, Finding, Replica } from '../types.ts'

const HOUR = 3_600_000

const RAISE =
  'raise one: kubectl exec -it into any pod, which Falco reports as "Terminal shell in container"; how sensors are wired: docs/sensors.md'

/** Why alert requests were refused, and what that asks for. */
const REFUSALS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    unauthorized: 'give the sensor the token of the Secret drawbridge-tokens (docs/sensors.md)',
    'wrong-source': 'let the credential send this source: alerts.credentials[].sources',
    'unknown-source': 'send to /alerts/<sensor> with a name of docs/sensors.md',
    'rate-limited': 'raise alerts.limits.alertsPerSecond, or quieten the sensor',
    busy: 'give Drawbridge more memory, or send fewer alerts at once (docs/operations.md#memory)',
    unverifiable: 'the API server could not be asked about a token: see the log',
    'bad-request': 'send JSON (docs/sensors.md)',
  }),
)

interface Sum {
  readonly key: string
  readonly value: number
}

/** Values of a metric by one of its labels, over all replicas. */
function by(all: readonly Metrics[], name: string, label: string): readonly Sum[] {
  const sums = new Map<string, number>()
  for (const metrics of all)
    for (const { labels, value } of metrics.get(name) ?? [])
      sums.set(labels[label] ?? '', (sums.get(labels[label] ?? '') ?? 0) + value)
  return [...sums].map(([key, value]) => ({ key, value })).filter(({ value }) => value > 0)
}

/** Clocks differ; what is further ahead is no time of an alert. */
const CLOCK_SKEW = 5 * 60_000

/** When each source was last heard, milliseconds since the epoch; by the replica that heard it last. */
function lastHeard(all: readonly Metrics[], now: number): ReadonlyMap<string, number> {
  const heard = new Map<string, number>()
  for (const metrics of all)
    for (const { labels, value } of metrics.get('drawbridge_last_alert_timestamp_seconds') ?? [])
      if (value * 1000 <= now + CLOCK_SKEW)
        heard.set(labels['source'] ?? '', Math.max(heard.get(labels['source'] ?? '') ?? 0, value * 1000))
  return heard
}

/** What the metrics of running servers say about alerts. */
export function sensorFindings(replicas: readonly Replica[], now: number): readonly Finding[] {
  const all = replicas.flatMap(({ metrics }) => metrics ?? [])
  const silent = replicas
    .filter(({ metrics }) => metrics === undefined)
    .map(({ name, why }) => unknown(`what ${name} has received: ${why}`))
  if (all.length === 0)
    return silent.length > 0
      ? silent
      : [
          unknown(
            'when sensors were last seen: no running server was found',
            'for one outside of the cluster, name its data folder: drawbridge doctor --data DIR',
          ),
        ]
  const heard = [...lastHeard(all, now)].sort(([a], [b]) => (a < b ? -1 : 1))
  const starts = all.flatMap(
    (metrics) => metrics.get('process_start_time_seconds')?.map(({ value }) => value * 1000) ?? [],
  )
  const running = now - starts.reduce((first, start) => Math.min(first, start), now)
  const isRecent = ([, time]: readonly [string, number]): boolean => now - time < HOUR
  const said = heard.map(([source, time]) => `${source} ${age(now - time)} ago`)
  const seen = heard.some(isRecent)
    ? ok(`last alerts: ${said.join(', ')}`)
    : warning(
        heard.length === 0
          ? `no sensor has sent an alert since Drawbridge started, ${age(running)} ago`
          : `no sensor has sent an alert in the last hour (${said.join(', ')})`,
        RAISE,
      )
  const refused = by(all, 'drawbridge_alert_requests_refused_total', 'reason').map(({ key, value }) =>
    warning(`${count(value, 'alert request')} refused since the start: ${key}`, REFUSALS.get(key) ?? 'see the log'),
  )
  const codes = by(all, 'drawbridge_alerts_refused_total', 'code')
  const failures = all.reduce((sum, metrics) => sum + sumOf(metrics, 'drawbridge_ledger_failures_total'), 0)
  const restarts = all.reduce((sum, metrics) => sum + sumOf(metrics, 'drawbridge_alert_thread_restarts_total'), 0)
  return [
    seen,
    ...heard
      .filter((one) => heard.some(isRecent) && !isRecent(one))
      .map(([source, time]) => warning(`${source} has sent nothing for ${age(now - time)}`, RAISE)),
    ...refused,
    ...(codes.length > 0
      ? [
          warning(
            `alerts could not be read since the start: ${some(codes.map(({ key, value }) => `${value} ${key}`))}`,
            'compare what the sensor sends with docs/sensors.md: drawbridge replay FILE --source SENSOR',
          ),
        ]
      : []),
    ...(failures > 0
      ? [
          warning(
            `${count(failures, 'write')} to the ledger failed since the start`,
            'docs/runbook.md says what to look at',
          ),
        ]
      : []),
    ...(restarts > 0
      ? [
          warning(
            `the alert thread ended ${count(restarts, 'time')} since the start`,
            'see the log for the reason; memory: docs/operations.md#memory',
          ),
        ]
      : []),
    ...silent,
  ]
}

export const sensors: Check = {
  id: 'sensors',
  run: ({ replicas, now }) => Promise.resolve(sensorFindings(replicas, now)),
}
