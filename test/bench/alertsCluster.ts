/**
 * The ledger in a real Kubernetes API, with an etcd that syncs every write to disk: how fast alerts are acknowledged, what that writes, and how long it takes
 * from an alert at one replica to a denial at the other.
 */
import { setTimeout as delay } from 'node:timers/promises'

import { startCluster } from '../cluster/harness.ts'
import { ledgerWrites, placeOf, runPods } from '../cluster/kubelet.ts'
import type { Answer } from '../process/server.ts'
import { denialBy, startReplicas } from '../cluster/endToEnd/replicas.ts'
import type { Replicas } from '../cluster/endToEnd/replicas.ts'
import { alertWriter, describeStatuses, eventTimes, percentile, readCounter, sendAlerts } from './load.ts'
import type { Effort, Figure, Measurement } from './types.ts'

const IMAGES = 100
const CONNECTIONS = 16

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
      const write = alertWriter('pod.drop_and_execute.jsonl')
      const time = eventTimes()
      const bodies = Array.from({ length: alerts }, (_, index) =>
        write({ ...placeOf(IMAGES + (index % IMAGES)), nanoseconds: time() }),
      )
      const before = await ledgerWrites(cluster)
      const { seconds, statuses, times: answers } = await sendAlerts(replicas.a, CONNECTIONS, bodies)
      const after = await ledgerWrites(cluster)
      const added = [...after]
        .map(([code, value]) => [code, value - (before.get(code) ?? 0)] as const)
        .filter(([, value]) => value > 0)
      const writes = added.reduce((sum, [, value]) => sum + value, 0)
      const decisions = await readCounter(replicas.a, 'drawbridge_alert_decisions_total', 'decision')
      const note = `${alerts} alerts of ${IMAGES} images, ${CONNECTIONS} connections; ${describeStatuses(statuses)}; ${[...decisions].map(([name, count]) => `${name} ${count}`).join(', ')}`
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
          what: 'acknowledged over HTTPS, Kubernetes API with fsync',
          value: alerts / seconds,
          unit: '/s',
          note,
          goal: { atLeast: 1000 },
        },
        { what: 'time to a 200, p99, Kubernetes API', value: percentile(answers, 0.99), unit: 'ms' },
        {
          what: 'writes of verdicts at the API server',
          value: writes / seconds,
          unit: '/s',
          goal: { atMost: 20 },
          note: `${writes} in ${seconds.toFixed(1)} s: ${added.map(([code, value]) => `${code}: ${value}`).join(', ')}`,
        },
        { what: 'conflicting writes', value: added.find(([code]) => code === '409')?.[1] ?? 0, unit: '' },
      ]
    } finally {
      await replicas.remove()
    }
  } finally {
    await cluster.stop()
  }
}

export const alertsCluster: Measurement = { name: 'alerts-cluster', run }
