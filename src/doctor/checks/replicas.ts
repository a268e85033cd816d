/** Are enough replicas ready, are they of one version, and may a drained node take all of them? */
import { at, objectOf, ok, problem, resourceOf, some, unknown, warning, word } from '../text.ts'
import type { Check, Finding, Installation } from '../types.ts'

const versionsOf = ({ replicas }: Installation): readonly string[] => [
  ...new Set(
    replicas.flatMap(
      ({ metrics }) => metrics?.get('drawbridge_build_info')?.map(({ labels }) => labels['version'] ?? '') ?? [],
    ),
  ),
]

function ofVersions(installation: Installation): readonly Finding[] {
  const versions = versionsOf(installation)
  if (versions.length > 1)
    return [
      warning(`replicas of different versions run: ${some(versions)}`, 'wait for the rollout, or end what hangs in it'),
    ]
  const [version] = versions
  return version === undefined || version === installation.version
    ? []
    : [
        warning(
          `Drawbridge is ${version} and this program ${installation.version}`,
          'use the program of the same version, or upgrade',
        ),
      ]
}

async function ofBudget({ reader, namespace, kind }: Installation): Promise<readonly Finding[]> {
  const reading = await reader.get(
    `/apis/policy/v1/namespaces/${encodeURIComponent(namespace)}/poddisruptionbudgets/drawbridge`,
  )
  if (reading.kind === 'unreadable') return [unknown(`PodDisruptionBudget: ${reading.why}`)]
  if (reading.kind === 'found') return []
  const todo =
    kind === 'helm'
      ? `helm upgrade drawbridge manifests/chart --namespace ${word(namespace)} --reset-then-reuse-values --set podDisruptionBudget.enabled=true`
      : `kubectl -n ${word(namespace)} create poddisruptionbudget drawbridge --selector app.kubernetes.io/name=drawbridge --max-unavailable 1`
  return [warning('there is no PodDisruptionBudget: draining nodes may end all replicas at once', todo)]
}

export const replicas: Check = {
  id: 'replicas',
  async run(installation) {
    const { workload, namespace, kind } = installation
    const versions = ofVersions(installation)
    if (kind === 'outside') {
      const silent = installation.replicas.filter(({ why }) => why !== undefined)
      const found = [
        ...versions,
        ...silent.map(({ name, why }) =>
          problem(`${name} does not answer: ${why}`, 'drawbridge serve --kubeconfig FILE --data DIR'),
        ),
      ]
      return found.length > 0 ? found : [ok('Drawbridge runs outside of the cluster')]
    }
    const logs = `kubectl -n ${word(namespace)} describe pods -l app.kubernetes.io/name=drawbridge`
    if (workload.kind === 'unreadable') return [unknown(`replicas: ${workload.why}`), ...versions]
    if (workload.kind === 'absent')
      return [problem(`there is no Deployment or StatefulSet drawbridge in ${namespace}`, installation.repair)]
    const object = objectOf(workload)
    const wanted = Number(at(object, 'spec', 'replicas') ?? 1)
    const ready = Number(at(object, 'status', 'readyReplicas') ?? 0)
    const found = [
      ...(ready === 0
        ? [problem(`none of ${wanted} replicas is ready`, logs)]
        : ready < wanted
          ? [warning(`${ready} of ${wanted} replicas are ready`, logs)]
          : []),
      ...(wanted === 1
        ? [
            warning(
              'there is one replica: while it restarts, pods of enforcing namespaces are refused',
              `kubectl -n ${word(namespace)} scale ${resourceOf(workload)} --replicas 2`,
            ),
          ]
        : []),
      ...versions,
      ...(await ofBudget(installation)),
    ]
    const [version] = versionsOf(installation)
    return found.length > 0
      ? found
      : [ok(`${ready} of ${wanted} replicas ready${version === undefined ? '' : `, version ${version}`}`)]
  },
}
