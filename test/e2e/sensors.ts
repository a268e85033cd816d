/**
 * Who reports what happens in the containers of `make e2e`: played alerts of Falco and Tracee, or with SENSOR=falco and SENSOR=tracee a real one
 * on the node. The Kubernetes audit source is always real: the API server of the node posts its audit events to Drawbridge.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { waitFor } from '../cluster/harness.ts'
import type { NodeCluster } from '../cluster/harness.ts'
import { root } from '../docs/markdown.ts'

/** A container that something happened in. */
export interface Victim {
  readonly namespace: string
  readonly pod: string
  readonly podUid: string
  readonly podIp: string
  /** As the pod's specification names it. */
  readonly image: string
  /** As the pod's status has it, without `containerd://`. */
  readonly containerId: string
  /** Where a reverse shell was connected to. */
  readonly listener: { readonly host: string; readonly port: number }
}

export interface Sensor {
  start(): Promise<void>
  /** Sees to it that Drawbridge is told; a real sensor has done so by itself. */
  report(capture: string, victim: Victim): Promise<void>
  stop(): Promise<void>
}

/** The sensors that can run on the node. */
export const REAL_SENSORS = ['falco', 'tracee'] as const
export type RealSensor = (typeof REAL_SENSORS)[number]

/**
 * Which sensor runs on the node, by the variable SENSOR; without it none does, and their alerts are played.
 * @throws Error for a name that is none
 */
export function chosenSensor(name: string | undefined): RealSensor | undefined {
  if (name === undefined || name === '') return undefined
  const chosen = REAL_SENSORS.find((sensor) => sensor === name)
  if (chosen === undefined)
    throw new Error(
      `SENSOR=${name}: no such sensor; wanted ${REAL_SENSORS.join(' or ')}, or none, which plays their alerts`,
    )
  return chosen
}

/** The lines of a file of alerts, each as the sensor would have written it about this container. */
export const alertsAbout = (
  capture: string,
  victim: Victim,
  about: (line: string, victim: Victim, now: number) => string,
): readonly string[] =>
  readFileSync(join(root, capture), 'utf8')
    .trim()
    .split('\n')
    .map((line) => about(line, victim, Date.now()))

interface ContainerStatus {
  readonly ready?: boolean
  readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } }
}

/** @throws Error when the node cannot have the image, with what the kubelet says */
async function isRunning(cluster: NodeCluster, name: RealSensor): Promise<boolean> {
  const { items } = JSON.parse(await cluster.must(['-n', name, 'get', 'pods', '-o', 'json'])) as {
    readonly items: readonly { readonly status?: { readonly containerStatuses?: readonly ContainerStatus[] } }[]
  }
  const statuses = items.flatMap(({ status }) => status?.containerStatuses ?? [])
  const waiting = statuses.map(({ state }) => state?.waiting).find((one) => /Image/u.test(one?.reason ?? ''))
  if (waiting !== undefined)
    throw new Error(
      `the node cannot pull the image of ${name} (${name.toUpperCase()}_IMAGE names another one): ${waiting.message ?? ''}`,
    )
  return statuses.length > 0 && statuses.every(({ ready }) => ready === true)
}

/** A sensor's own image as a DaemonSet in the namespace of its name. Needs a registry, and a kernel with BTF. */
export function deployed(
  cluster: NodeCluster,
  name: RealSensor,
  objects: readonly object[],
  isReady: () => Promise<unknown> = () => Promise.resolve(),
): Sensor {
  return {
    async start() {
      await cluster.must(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }))
      await waitFor(() => isRunning(cluster, name), 300_000, `the pod of ${name} to be ready`)
      await isReady()
    },
    report: () => Promise.resolve(),
    stop: async () => void (await cluster.must(['delete', 'namespace', name, '--wait=false'])),
  }
}
