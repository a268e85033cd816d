/** Falco in `make e2e`: its alerts, played; and as docs/sensors.md has it configured, as a DaemonSet, for SENSOR=falco. FALCO_IMAGE names another image. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { waitFor } from '../cluster/harness.ts'
import type { NodeCluster } from '../cluster/harness.ts'
import { call } from '../process/server.ts'
import { SERVICE_NAME } from './endpoint.ts'
import type { Endpoint } from './endpoint.ts'
import { alertsAbout, deployed } from './sensors.ts'
import type { Sensor, Victim } from './sensors.ts'

const IMAGE = process.env['FALCO_IMAGE'] ?? 'docker.io/falcosecurity/falco:0.44.1'

export function falcoObjects({ address, token, ca }: Endpoint, containerdSocket: string): readonly object[] {
  const namespace = 'falco'
  const labels = { app: 'falco' }
  const config = {
    engine: { kind: 'modern_ebpf' },
    json_output: true,
    json_include_output_fields_property: true,
    http_output: {
      enabled: true,
      url: `https://falco:${token}@${SERVICE_NAME}:8444/alerts/falco`,
      ca_cert: '/etc/drawbridge/ca.crt',
      max_consecutive_timeouts: 5,
    },
    append_output: [
      { suggested_output: true },
      {
        match: { source: 'syscall' },
        extra_fields: ['container.full_id', 'container.image', 'container.image.digest', 'k8s.pod.uid'],
      },
    ],
  }
  const mounts = [
    { name: 'config', mountPath: '/etc/falco/config.d/drawbridge.yaml', subPath: 'drawbridge.yaml' },
    { name: 'config', mountPath: '/etc/drawbridge/ca.crt', subPath: 'ca.crt' },
    { name: 'proc', mountPath: '/host/proc', readOnly: true },
    { name: 'etc', mountPath: '/host/etc', readOnly: true },
    { name: 'containerd', mountPath: '/host/run/containerd/containerd.sock' },
  ]
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'falco', namespace },
      // JSON is YAML.
      stringData: { 'drawbridge.yaml': JSON.stringify(config), 'ca.crt': ca },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'falco', namespace },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            hostAliases: [{ ip: address, hostnames: [SERVICE_NAME] }],
            tolerations: [{ operator: 'Exists' }],
            containers: [{ name: 'falco', image: IMAGE, securityContext: { privileged: true }, volumeMounts: mounts }],
            volumes: [
              { name: 'config', secret: { secretName: 'falco' } },
              { name: 'proc', hostPath: { path: '/proc' } },
              { name: 'etc', hostPath: { path: '/etc' } },
              { name: 'containerd', hostPath: { path: containerdSocket, type: 'Socket' } },
            ],
          },
        },
      },
    },
  ]
}

/**
 * A captured line as Falco would have written it about this container. Texts only: numbers in it are too large to be parsed and written again.
 * @param now milliseconds since the epoch
 */
export function falcoAlertAbout(line: string, victim: Victim, now: number): string {
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
    .replace(/"time":"[^"]*"/u, `"time":"${new Date(now).toISOString()}"`)
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
    start: () => Promise.resolve(),
    async report(capture, victim) {
      for (const alert of alertsAbout(capture, victim, falcoAlertAbout)) await sender.post(alert)
    },
    stop: () => Promise.resolve(sender.close()),
  }
}

export function realFalco(cluster: NodeCluster, endpoint: Endpoint): Sensor {
  return deployed(cluster, 'falco', falcoObjects(endpoint, cluster.containerdSocket), () =>
    waitFor(
      async () => (await cluster.must(['-n', 'falco', 'logs', 'daemonset/falco'])).includes('Opening'),
      60_000,
      'Falco to open its event source',
    ),
  )
}
