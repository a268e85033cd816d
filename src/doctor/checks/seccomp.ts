/** Do the nodes have the seccomp profiles that namespaces ask for? */
import { isFresh, readNodeReport, reportedName, REPORTS_NAMESPACE } from '../../kube/nodeReport.ts'
import { resolveNamespace } from '../../policy/namespace.ts'
import { at, count, nameIn, ok, some, unknown, warning } from '../text.ts'
import type { Check, Installation } from '../types.ts'
import { profilesOf } from './namespaces.ts'

const KUBECTL = `kubectl -n ${REPORTS_NAMESPACE}`

/** Profile -> the namespaces whose pods are given it. */
async function wantedProfiles(
  installation: Installation,
  namespaces: readonly unknown[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { podSecurityLabels } = installation
  const { found } = await profilesOf(installation)
  const wanted = new Map<string, string[]>()
  for (const namespace of namespaces) {
    const labels = (at(namespace, 'metadata', 'labels') ?? {}) as Readonly<Record<string, string>>
    const { seccomp } = resolveNamespace(labels, { podSecurityLabels, profiles: (name) => found.get(name) })
    const name = seccomp?.type === 'Localhost' ? reportedName(seccomp.localhostProfile) : undefined
    if (name !== undefined) wanted.set(name, [...(wanted.get(name) ?? []), nameIn(namespace)])
  }
  return wanted
}

export const seccomp: Check = {
  id: 'seccomp',
  async run(installation) {
    const { reader, now } = installation
    const [namespaces, nodes, leases] = await Promise.all([
      reader.list('/api/v1/namespaces'),
      reader.list('/api/v1/nodes'),
      reader.list(`/apis/coordination.k8s.io/v1/namespaces/${REPORTS_NAMESPACE}/leases`),
    ])
    for (const [what, list] of [['labels of namespaces', namespaces] as const, ['nodes', nodes] as const])
      if (list.kind === 'unreadable') return [unknown(`seccomp profiles on nodes: ${what}: ${list.why}`)]
    if (leases.kind === 'unreadable') return [unknown(`seccomp profiles on nodes: ${leases.why}`)]
    const itemsOf = (list: typeof nodes): readonly unknown[] => (list.kind === 'found' ? list.items : [])

    const wanted = await wantedProfiles(installation, itemsOf(namespaces))
    const asked = [...wanted].map(([profile, by]) => `${profile} by ${some(by)}`).join('; ')
    if (!itemsOf(namespaces).some((one) => nameIn(one) === REPORTS_NAMESPACE))
      return [
        ok(
          wanted.size === 0
            ? 'no namespace asks for a seccomp profile on nodes'
            : `nobody looks whether nodes have the seccomp profiles that are asked for, ${asked} (seccompSync of the chart is off)`,
        ),
      ]

    const reports = new Map(itemsOf(leases).map((lease) => [nameIn(lease), readNodeReport(lease)]))
    const known = itemsOf(nodes).map((node) => {
      const report = reports.get(nameIn(node))
      return {
        name: nameIn(node),
        profiles: report !== undefined && isFresh(report, now) ? report.profiles : undefined,
      }
    })
    const silent = known.filter(({ profiles }) => profiles === undefined).map(({ name }) => name)
    const reporting = `${known.length - silent.length} of ${count(known.length, 'node')} ${known.length - silent.length === 1 ? 'reports' : 'report'}`
    if (wanted.size === 0) return [ok(`${reporting} seccomp profiles; no namespace asks for one`)]
    const lacking = [...wanted].flatMap(([profile, by]) => {
      const names = known.filter(({ profiles }) => profiles?.has(profile) === false).map(({ name }) => name)
      return names.length === 0 ? [] : [{ profile, by, names }]
    })
    return [
      ...(silent.length === 0
        ? []
        : [
            warning(
              `only ${reporting} seccomp profiles, not ${some(silent)}: pods that may run there get RuntimeDefault instead of what their namespace asks for`,
              `${KUBECTL} get pods -o wide, and the log of the pod on that node`,
            ),
          ]),
      ...lacking.map(({ profile, by, names }) =>
        warning(
          `${count(names.length, 'node')} of ${known.length} without the seccomp profile ${profile}, asked for by ${some(by)}: ${some(names)}; pods that may run there get RuntimeDefault`,
          `put ${profile}.json into the ConfigMap of seccompSync.configMap, or correct the label; why it was left out: ${KUBECTL} logs daemonset/drawbridge-seccomp`,
        ),
      ),
      ...(silent.length + lacking.length === 0
        ? [ok(`${reporting} the seccomp profiles that are asked for: ${asked}`)]
        : []),
    ]
  },
}
