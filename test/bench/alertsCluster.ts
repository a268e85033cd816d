/**
 * The ledger in a real Kubernetes API, with an etcd that syncs every write to disk: how fast alerts are acknowledged, what that writes, and how long it takes
 * from an alert at one replica to a denial at the other.
 */
import { setTimeout as delay } from 'node:timers/promises'

import { startCluster } from '../cluster/harness.ts'
import type { Cluster } from '../cluster/harness.ts'
import { ledgerWrites, placeOf, runPods } from '../cluster/kubelet.ts'
import type { Answer, RunningProgram } from '../process/server.ts'
import { denialBy, startReplicas } from '../cluster/endToEnd/replicas.ts'
import type { Replicas } from '../cluster/endToEnd/replicas.ts'
import { alertWriter, describeStatuses, eventTimes, joinSent, percentile, sendAlerts } from './load.ts'
import type { Sent } from './load.ts'
import type { Effort, Figure, Measurement } from './types.ts'

const IMAGES = 100
const CONNECTIONS = 16
/** Alerts sent together: each image 20 times. */
const ROUND = 20 * IMAGES

async function delays(replicas: Replicas, count: number): Promise<readonly number[]> {
  const write = alertWriter('pod.drop_and_execute.jsonl')
  const time = eventTimes()
  const alert = (place: ReturnType<typeof placeOf>): Promise<Answer> =>
    replicas.a.alert(write({ ...place, nanoseconds: time() }))
  const found: number[] = []
  for (let number = 0; number < count; number++) {
    const place = placeOf(number)
    // The cap on writes answers 503 and means it: sent again, and timed anew.
    let started = performance.now()
    for (let answer = await alert(place); answer.status !== 200; answer = await alert(place)) {
      if (answer.status !== 503) throw new Error(answer.text)
      await delay(500)
      started = performance.now()
    }
    while ((await denialBy(replicas.b, place.namespace, place.image)) === undefined) {
      if (performance.now() - started > 20_000) throw new Error(`no denial of ${place.image} after 20 s`)
    }
    found.push(performance.now() - started)
  }
  return found.sort((left, right) => left - right)
}

/** What one flood of alerts came to. */
interface Flood {
  /** Answers with 200 in a second. */
  readonly acknowledged: number
  /** Milliseconds. */
  readonly p99: number
  readonly note: string
  /** Requests at the API server in a second. */
  readonly writes: number
  readonly writesNote: string
  readonly conflicts: number
}

const nextTime = eventTimes()

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0)

/** Alerts of the same images to one replica, in rounds until `isEnough`. What is refused is not sent again. */
async function flood(
  cluster: Cluster,
  server: RunningProgram,
  isEnough: (sent: number, refused: number) => boolean,
): Promise<Flood> {
  const write = alertWriter('pod.drop_and_execute.jsonl')
  const before = await ledgerWrites(cluster)
  const rounds: Sent[] = []
  const started = performance.now()
  /** From where on writes are counted by time: when alerts are refused, what the cap had saved is spent. */
  let capped = { at: started, writes: sum(before.values()) }
  for (let refused = 0; !isEnough(ROUND * rounds.length, refused);) {
    const bodies = Array.from({ length: ROUND }, (_, index) =>
      write({ ...placeOf(IMAGES + (index % IMAGES)), nanoseconds: nextTime() }),
    )
    const sent = await sendAlerts(server, CONNECTIONS, bodies)
    rounds.push(sent)
    refused = ROUND - (sent.statuses.get(200) ?? 0)
    if (rounds.length === 1 && refused > 0)
      capped = { writes: sum((await ledgerWrites(cluster)).values()), at: performance.now() }
    if (performance.now() - started > 120_000)
      throw new Error('after two minutes there are still images without a verdict')
  }
  const seconds = (performance.now() - started) / 1000
  const { statuses, times } = joinSent(rounds)
  const after = await ledgerWrites(cluster)
  const cappedSeconds = (performance.now() - capped.at) / 1000
  const cappedWrites = sum(after.values()) - capped.writes
  const added = [...after]
    .map(([code, value]) => [code, value - (before.get(code) ?? 0)] as const)
    .filter(([, value]) => value > 0)
  const acknowledged = statuses.get(200) ?? 0
  return {
    acknowledged: acknowledged / seconds,
    p99: percentile(times, 0.99),
    note: `${ROUND * rounds.length} alerts of ${IMAGES} images, ${CONNECTIONS} connections; ${describeStatuses(statuses)}`,
    writes: cappedWrites / cappedSeconds,
    writesNote: `${cappedWrites} in ${cappedSeconds.toFixed(1)} s, from the first alert that was refused on; of all ${added.map(([code, value]) => `${code}: ${value}`).join(', ')}`,
    conflicts: added.find(([code]) => code === '409')?.[1] ?? 0,
  }
}

async function run({ scale, report }: Effort): Promise<readonly Figure[]> {
  const cluster = await startCluster({ etcdArgs: [] })
  try {
    const replicas = await startReplicas(cluster)
    try {
      const namespaces = [...new Set(Array.from({ length: 2 * IMAGES }, (_, number) => placeOf(number).namespace))]
      for (const name of namespaces) await cluster.createNamespace(name, { 'drawbridge.dev/quarantine': 'enforce' })
      for (const name of namespaces)
        await cluster.must(['wait', '--for=create', 'serviceaccount/default', '-n', name, '--timeout=30s'])
      await runPods(cluster, 0, 2 * IMAGES)
      report(`${2 * IMAGES} pods run`)
      const times = await delays(replicas, IMAGES)
      report('delays measured')

      const alerts = Math.max(2000, Math.round(20_000 * scale))
      // Until the last image has its verdict, and no longer: what comes then is another figure. The delays have spent the burst that the cap allows.
      const first = await flood(cluster, replicas.a, (sent, refused) => sent > 0 && refused === 0)
      report('alerts of new images sent')
      const later = await flood(cluster, replicas.a, (sent) => sent >= alerts)
      return [
        {
          what: 'alert at one replica to denial at the other, p50',
          value: percentile(times, 0.5),
          unit: 'ms',
          note: `${IMAGES} images`,
        },
        {
          what: 'alert at one replica to denial at the other, p99',
          value: percentile(times, 0.99),
          unit: 'ms',
          goal: { atMost: 500 },
        },
        {
          what: 'acknowledged over HTTPS, Kubernetes API with fsync: images that have their verdict',
          value: later.acknowledged,
          unit: '/s',
          note: later.note,
          goal: { atLeast: 1000 },
        },
        {
          what: 'acknowledged over HTTPS, Kubernetes API with fsync: from the first alert of each image on',
          value: first.acknowledged,
          unit: '/s',
          note: first.note,
          goal: { atLeast: 1000 },
        },
        { what: 'time to an answer, p99, Kubernetes API', value: first.p99, unit: 'ms' },
        {
          what: 'writes of verdicts at the API server',
          value: first.writes,
          unit: '/s',
          goal: { atMost: 20 },
          note: first.writesNote,
        },
        { what: 'conflicting writes', value: first.conflicts, unit: '' },
      ]
    } finally {
      await replicas.remove()
    }
  } finally {
    await cluster.stop()
  }
}

export const alertsCluster: Measurement = { name: 'alerts-cluster', run }
