/** Every node, and which seccomp profiles it reports (nodeReport.ts), from two watches. */
import { isFresh, readNodeReport } from '../../kube/nodeReport.ts'
import type { KnownNode } from '../../kube/nodes.ts'
import type { Labels } from '../../kube/types.ts'
import type { KubernetesClient } from './client.ts'
import { listWatch } from './listWatch.ts'
import { leasesPath } from './nodeReport.ts'

export interface SeccompReportsOptions {
  readonly client: Pick<KubernetesClient, 'request' | 'watch'>
  /** Where the reports are. */
  readonly namespace: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly onProblem?: ((message: string) => void) | undefined
}

export interface SeccompReports {
  /** From memory; nothing until all nodes are known. A node without a fresh report has no profiles. */
  readonly nodes: () => Iterable<KnownNode>
  /** Resolves when all is known, or after five seconds: without reports pods get RuntimeDefault, and nothing else depends on them. Never rejects. */
  readonly settled: () => Promise<void>
  readonly stop: () => Promise<void>
}

const SETTLE_MILLISECONDS = 5000

const NOTHING: ReadonlySet<string> = new Set()

interface Shape {
  readonly metadata?: { readonly name?: unknown; readonly labels?: Labels | null } | null
}

function toNode(object: unknown): Omit<KnownNode, 'seccompProfiles'> | undefined {
  const { metadata } = (object ?? {}) as Shape
  return typeof metadata?.name === 'string' ? { name: metadata.name, labels: metadata.labels ?? {} } : undefined
}

/** Starts to watch at once. */
export function watchSeccompReports({ client, namespace, now, onProblem }: SeccompReportsOptions): SeccompReports {
  const nodes = listWatch({ client, path: '/api/v1/nodes', select: toNode, onProblem })
  const reports = listWatch({ client, path: leasesPath(namespace), select: readNodeReport, onProblem })
  const fresh = (name: string): ReadonlySet<string> => {
    const report = reports.get(`${namespace}/${name}`)
    return report !== undefined && isFresh(report, now()) ? report.profiles : NOTHING
  }
  return {
    *nodes() {
      // Of a list that is read in pages the first one may be just the nodes that have a profile.
      if (!nodes.isSynced()) return
      for (const { name, labels } of nodes.values()) yield { name, labels, seccompProfiles: fresh(name) }
    },
    settled: async () => {
      try {
        await Promise.all([nodes, reports].map((watched) => watched.synced(SETTLE_MILLISECONDS)))
      } catch (error) {
        onProblem?.(`seccomp reports are not known yet: ${error instanceof Error ? error.message : String(error)}`)
      }
    },
    stop: async () => void (await Promise.all([nodes.stop(), reports.stop()])),
  }
}
