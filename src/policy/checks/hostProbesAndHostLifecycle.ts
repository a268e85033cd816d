import type { Container, HandlerAction } from '../../kube/types.ts'
import type { Check, CheckFunction } from '../types.ts'
import { inContainers, joinValues } from '../checkHelpers.ts'

/*
 * Probes and lifecycle handlers must not name a host: the kubelet would send requests anywhere on the pod author's behalf.
 *
 * Restricted fields, for spec.{containers,initContainers,ephemeralContainers}[*]:
 * {livenessProbe,readinessProbe,startupProbe}.{httpGet,tcpSocket}.host, lifecycle.{postStart,preStop}.{httpGet,tcpSocket}.host
 * Allowed values: empty, undefined
 *
 * Since 1.34.
 *
 * Source: kubernetes/pod-security-admission:policy/check_hostProbesAndhostLifecycle.go (the ID there is hostProbesAndHostLifecycle)
 */

const RULE = {
  check: 'hostProbesAndHostLifecycle',
  reason: 'probe or lifecycle host',
  required: 'not set',
  fix: "remove host; the pod's own address is used",
}

const ACTIONS = ['httpGet', 'tcpSocket'] as const

const handlersOf = (container: Container): readonly (readonly [string, HandlerAction | null | undefined])[] => [
  ['livenessProbe', container.livenessProbe],
  ['readinessProbe', container.readinessProbe],
  ['startupProbe', container.startupProbe],
  ['lifecycle.postStart', container.lifecycle?.postStart],
  ['lifecycle.preStop', container.lifecycle?.preStop],
]

const namesHost = (handler: HandlerAction | null | undefined): boolean =>
  handler != null && Boolean(handler.httpGet?.host || handler.tcpSocket?.host)

/** Says no for nearly every container, without a list of its handlers. */
const hasHost = ({ livenessProbe, readinessProbe, startupProbe, lifecycle }: Container): boolean =>
  namesHost(livenessProbe) ||
  namesHost(readinessProbe) ||
  namesHost(startupProbe) ||
  namesHost(lifecycle?.postStart) ||
  namesHost(lifecycle?.preStop)

const hostProbesAndHostLifecycle_1_34: CheckFunction = (_metadata, spec) =>
  inContainers(RULE, spec, (container, path) => {
    if (!hasHost(container)) return undefined
    const hosts: { readonly path: string; readonly host: string }[] = []
    for (const [name, handler] of handlersOf(container))
      for (const action of ACTIONS) {
        const host = handler?.[action]?.host
        if (host) hosts.push({ path: `${path}.${name}.${action}.host`, host })
      }
    const [first] = hosts
    return first && { path: first.path, found: joinValues(hosts.map(({ host }) => host)) }
  })

export const hostProbesAndHostLifecycle: Check = {
  id: 'hostProbesAndHostLifecycle',
  profiles: ['baseline', 'standard', 'restricted'],
  versions: [{ since: 34, check: hostProbesAndHostLifecycle_1_34 }],
}
