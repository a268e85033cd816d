/**
 * Who reports what happens in the containers of `make e2e`: played captures of Falco, or with SENSOR=falco a real Falco on the node. The
 * Kubernetes audit source is always real: the API server of the node posts its audit events to Drawbridge.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { waitFor } from '../cluster/harness.ts'
import type { NodeCluster } from '../cluster/harness.ts'
import { root } from '../docs/markdown.ts'
import { call } from '../process/server.ts'
import { SERVICE_NAME } from './endpoint.ts'
import type { Endpoint } from './endpoint.ts'
import { falcoObjects } from './falco.ts'

/** A container that something happened in. */
export interface Victim {
  readonly namespace: string
  readonly pod: string
  readonly podIp: string
  /** As the pod's status has it, without `containerd://`. */
  readonly containerId: string
  /** Where a reverse shell was connected to. */
  readonly listener: { readonly host: string; readonly port: number }
}

export interface Sensor {
  readonly name: string
  start(): Promise<void>
  /** Sees to it that Drawbridge is told; a real sensor has done so by itself. */
  report(capture: string, victim: Victim): Promise<void>
  stop(): Promise<void>
}

/** A captured line as the sensor would have written it about this container. Texts only: numbers in it are too large to be parsed and written again. */
export function aboutVictim(line: string, victim: Victim, time: string): string {
  const { output_fields: fields } = JSON.parse(line) as { readonly output_fields: Readonly<Record<string, string>> }
  const named: readonly (readonly [field: string, output: string, value: string])[] = [
    ['k8s.ns.name', 'k8s_ns_name', victim.namespace],
    ['k8s.pod.name', 'k8s_pod_name', victim.pod],
    ['container.name', 'container_name', 'zipapp'],
  ]
  const connection = /^(127\.0\.0\.1:\d+)->(127\.0\.0\.1:\d+)$/u.exec(fields['fd.name'] ?? '')
  const filled = named
    .reduce(
      (text, [field, output, value]) =>
        text
          .replace(`"${field}":"${fields[field]}"`, `"${field}":"${value}"`)
          .replace(`${output}=${fields[field]}`, `${output}=${value}`),
      line,
    )
    .replaceAll(fields['container.id']!, victim.containerId.slice(0, 12))
    .replace(/"time":"[^"]*"/u, `"time":"${time}"`)
  return connection === null
    ? filled
    : filled
        .replaceAll(connection[2]!, `${victim.listener.host}:${victim.listener.port}`)
        .replaceAll(connection[1]!, `${victim.podIp}:${connection[1]!.split(':')[1]}`)
        .replaceAll('127.0.0.1', victim.listener.host)
}

/** Posts alerts as Falco does, to the Service by its address and under its name. */
export function falcoSender(endpoint: Endpoint): { post(body: string): Promise<void>; close(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-sensor-'))
  const ca = join(folder, 'ca.crt')
  const agent = new Agent({ servername: SERVICE_NAME })
  writeFileSync(ca, endpoint.ca)
  return {
    async post(body) {
      const headers = { Authorization: `Bearer ${endpoint.token}`, 'Content-Type': 'application/json' }
      const answer = await call(`https://${endpoint.address}:8444/alerts/falco`, { ca, body, headers, agent })
      if (answer.status !== 200) throw new Error(`the alert was answered ${answer.status}: ${answer.text}`)
    },
    close: () => rmSync(folder, { recursive: true }),
  }
}

/** Posts the captures that a real Falco wrote about these actions, with the ids of the real containers. */
export function playedFalco(endpoint: Endpoint): Sensor {
  const sender = falcoSender(endpoint)
  return {
    name: 'played',
    start: () => Promise.resolve(),
    async report(capture, victim) {
      const lines = readFileSync(join(root, capture), 'utf8').trim().split('\n')
      for (const line of lines) await sender.post(aboutVictim(line, victim, new Date().toISOString()))
    },
    stop: () => Promise.resolve(sender.close()),
  }
}

/** Falco's own image on the node. Needs a registry, and a kernel with BTF. */
export function realFalco(cluster: NodeCluster, endpoint: Endpoint): Sensor {
  return {
    name: 'falco',
    async start() {
      const objects = falcoObjects(endpoint, cluster.containerdSocket)
      await cluster.must(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }))
      await cluster.must(['-n', 'falco', 'rollout', 'status', 'daemonset/falco', '--timeout=300s'])
      await waitFor(
        async () => (await cluster.must(['-n', 'falco', 'logs', 'daemonset/falco'])).includes('Opening') || undefined,
        60_000,
        'Falco to open its event source',
      )
    },
    report: () => Promise.resolve(),
    stop: async () => void (await cluster.must(['delete', 'namespace', 'falco', '--wait=false'])),
  }
}
