/**
 * Tracee in `make e2e`, configured as docs/guides/tracee.md has it: what it writes, played, and for SENSOR=tracee itself, as a DaemonSet. TRACEE_IMAGE
 * names another image, of v0.24: the arguments of later ones differ. Sources: aquasecurity/tracee at v0.24.1, deploy/helm/tracee/templates,
 * docs/docs/flags (scope, events, server), pkg/cmd/cobra/cobra.go (without a token for the API server it takes no policies from there).
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { load } from 'js-yaml'

import type { NodeCluster } from '../cluster/harness.ts'
import { fileOf } from '../docs/markdown.ts'
import { Container, sendAsTracee } from '../process/asSensorsSend.ts'
import type { PodParts } from '../process/asSensorsSend.ts'
import { SERVICE_NAME } from './endpoint.ts'
import type { Endpoint } from './endpoint.ts'
import { TRACEE_SCENARIOS } from './scenarios.ts'
import { alertsAbout, deployed } from './sensors.ts'
import type { Sensor, Victim } from './sensors.ts'

const IMAGE = process.env['TRACEE_IMAGE'] ?? 'docker.io/aquasec/tracee:0.24.1'
const GUIDE = 'docs/guides/tracee.md'
const NAMESPACE = 'tracee'

/** What the guide adds to the DaemonSet of Tracee's chart. */
type Patch = Required<PodParts> & { readonly args: readonly string[] }

function guidePatch(): Patch {
  const { spec } = load(fileOf(GUIDE, 'tracee-patch.yaml')) as {
    readonly spec: {
      readonly template: {
        readonly spec: { readonly containers: readonly [Omit<Patch, 'volumes'>]; readonly volumes: Patch['volumes'] }
      }
    }
  }
  const { containers, volumes } = spec.template.spec
  return { ...containers[0], volumes }
}

/** The settings of the chart that give Tracee a credential of its own, as the guide says it. */
export function traceeSettings(): readonly string[] {
  const { config } = load(fileOf(GUIDE, 'drawbridge-tracee.yaml')) as {
    readonly config: {
      readonly alerts: { readonly credentials: readonly Readonly<Record<string, string | readonly string[]>>[] }
    }
  }
  return Object.entries(config.alerts.credentials[0]!).map(
    ([key, value]) =>
      `config.alerts.credentials[0].${key}=${typeof value === 'string' ? value : `{${value.join(',')}}`}`,
  )
}

/** Puts a new token where these settings look for it. To be called before the upgrade: Drawbridge does not start while the file is missing. */
export async function makeTraceeToken(cluster: NodeCluster): Promise<string> {
  const token = randomBytes(32).toString('hex')
  const patch = JSON.stringify({ stringData: { 'tracee-token': token } })
  await cluster.must(['-n', 'drawbridge', 'patch', 'secret', 'drawbridge-tokens', '-p', patch])
  return token
}

const secretOf = ({ ca }: Endpoint, token: string): Readonly<Record<string, string>> => ({ token, 'ca.crt': ca })

export function traceeObjects(endpoint: Endpoint, token: string, containerdSocket: string): readonly object[] {
  const labels = { app: 'tracee' }
  const { args, env, volumeMounts, volumes } = guidePatch()
  const events = TRACEE_SCENARIOS.map(({ event }) => event)
  const container = {
    name: 'tracee',
    image: IMAGE,
    command: ['/tracee/tracee'],
    args: [
      ...args,
      '--scope=container',
      `--events=${events.join(',')}`,
      '--server=http-address=:3366',
      '--server=healthz',
    ],
    env: [
      { name: 'LIBBPFGO_OSRELEASE_FILE', value: '/etc/os-release-host' },
      { name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
      ...env,
    ],
    securityContext: { privileged: true },
    // Served from when it is ready to receive events: pkg/cmd/tracee.go.
    readinessProbe: { httpGet: { path: '/healthz', port: 3366 } },
    volumeMounts: [
      { name: 'tmp-tracee', mountPath: '/tmp/tracee' },
      { name: 'etc-os-release', mountPath: '/etc/os-release-host', readOnly: true },
      { name: 'containerd-sock', mountPath: '/var/run/containerd/containerd.sock', readOnly: true },
      { name: 'tracee-config', mountPath: '/tracee/config.yaml', subPath: 'config.yaml', readOnly: true },
      ...volumeMounts,
    ],
  }
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'drawbridge', namespace: NAMESPACE },
      stringData: secretOf(endpoint, token),
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'tracee-config', namespace: NAMESPACE },
      data: { 'config.yaml': 'log:\n  level: info\n' },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'tracee', namespace: NAMESPACE },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            hostPID: true,
            automountServiceAccountToken: false,
            hostAliases: [{ ip: endpoint.address, hostnames: [SERVICE_NAME] }],
            tolerations: [{ operator: 'Exists' }],
            containers: [container],
            volumes: [
              { name: 'tmp-tracee', hostPath: { path: '/tmp/tracee' } },
              { name: 'etc-os-release', hostPath: { path: '/etc/os-release' } },
              { name: 'containerd-sock', hostPath: { path: containerdSocket, type: 'Socket' } },
              { name: 'tracee-config', configMap: { name: 'tracee-config' } },
              ...volumes,
            ],
          },
        },
      },
    },
  ]
}

/**
 * An event as Tracee would have written it about this container. Texts, and the time; all other numbers stay as they are, and as text: those of
 * inodes and times are too large to be parsed and written again. The image's digest stays another one's, the same in every event: whoever believed it
 * would deny the images of all cells at once.
 * @param now milliseconds since the epoch
 */
export function traceeEventAbout(line: string, victim: Victim, now: number): string {
  const { container, kubernetes, hostName } = JSON.parse(line) as Readonly<
    Record<'container' | 'kubernetes', Readonly<Record<string, string>>>
  > & { readonly hostName: string }
  const named: readonly (readonly [key: string, from: string | undefined, to: string])[] = [
    ['name', container['name'], 'zipapp'],
    ['image', container['image'], victim.image],
    ['podName', kubernetes['podName'], victim.pod],
    ['podNamespace', kubernetes['podNamespace'], victim.namespace],
    ['podUID', kubernetes['podUID'], victim.podUid],
    // The kernel's name of the host, of which Tracee gives 15 characters.
    ['hostName', hostName, victim.pod.slice(0, 15)],
    ['value', '192.0.2.10', victim.listener.host],
    ['sin_addr', '192.0.2.10', victim.listener.host],
    ['value', '4444', String(victim.listener.port)],
    ['sin_port', '4444', String(victim.listener.port)],
  ]
  return named
    .reduce((text, [key, from, to]) => text.replace(`"${key}":"${from}"`, `"${key}":"${to}"`), line)
    .replaceAll(container['id']!, victim.containerId)
    .replace(/"timestamp":\d+/u, `"timestamp":${now}000000`)
}

/** Posts what Tracee's signatures make of these actions as its webhook does, with the arguments, variables and files of the DaemonSet. */
export function playedTracee(endpoint: Endpoint, token: string): Sensor {
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-sensor-'))
  const patch = guidePatch()
  const container = new Container(folder, { drawbridge: secretOf(endpoint, token) }, patch)
  return {
    start: () => Promise.resolve(),
    async report(capture, victim) {
      for (const event of alertsAbout(capture, victim, traceeEventAbout)) {
        const { status, text, problem } = await sendAsTracee(patch.args, container, event, '8444', endpoint.address)
        assert.deepEqual([status, problem], [200, ''], text)
      }
    },
    stop: () => Promise.resolve(rmSync(folder, { recursive: true })),
  }
}

export const realTracee = (cluster: NodeCluster, endpoint: Endpoint, token: string): Sensor =>
  deployed(cluster, 'tracee', traceeObjects(endpoint, token, cluster.containerdSocket))
