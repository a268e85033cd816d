/** What `drawbridge scan` reads of a cluster, with the rights of whoever's kubeconfig it is. Nothing is watched and nothing is written. */
import type { Labels } from '../../kube/types.ts'
import { GROUP, VERSION } from '../../kube/names.ts'
import type { ImageVerdict } from '../../verdicts/types.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { connect, readMinor } from './cluster.ts'
import { listPages, podPages } from './podPages.ts'
import type { PodOfPage } from './podPages.ts'
import { readVerdictObject } from './verdictObject.ts'

export interface ClusterScan {
  /** The cluster's minor version (35 for 1.35), which is what `latest` means there; undefined where it could not be read. */
  readonly minor: number | undefined
  /** Every verdict there is, read once. */
  readonly verdicts: readonly ImageVerdict[]
  /** What could not be read, one line each for people. */
  readonly notes: readonly string[]
  /** Labels by name: of the namespaces asked for, or of all. Rejects for one that does not exist. */
  namespaces(names?: readonly string[]): Promise<ReadonlyMap<string, Labels>>
  /** The pods of one namespace, or of all, in pages. Ends early when the signal aborts. */
  pods(namespace?: string): AsyncIterable<readonly PodOfPage[]>
  close(): Promise<void>
}

/** A name that cannot exist is not asked for: it could otherwise walk the API's paths. */
const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/**
 * Connects, and reads the cluster's version and its verdicts.
 * @param kubeconfig a file; undefined: the service account of the pod
 * @throws an Error with one line for people when the cluster cannot be reached or may not be read
 */
export async function openClusterScan(kubeconfig: string | undefined, signal: AbortSignal): Promise<ClusterScan> {
  const client = connect(kubeconfig)
  // Nobody who stops a scan wants to wait for an API server that does not answer.
  signal.addEventListener('abort', () => client.close(), { once: true })
  try {
    const minor = await readMinor(client)
    const { verdicts, notes } = await readVerdicts(client, signal)
    return {
      minor,
      verdicts,
      notes,
      namespaces: (names) => (names === undefined ? readAllNamespaces(client, signal) : readNamespaces(client, names)),
      pods: (namespace) => podPages(client, namespace, { signal }),
      async close() {
        client.close()
      },
    }
  } catch (error) {
    client.close()
    throw error
  }
}

async function readVerdicts(
  client: KubernetesClient,
  signal: AbortSignal,
): Promise<Pick<ClusterScan, 'verdicts' | 'notes'>> {
  const verdicts: ImageVerdict[] = []
  const notes: string[] = []
  try {
    for await (const page of listPages(client, `/apis/${GROUP}/${VERSION}/imageverdicts`, { signal })) {
      for (const object of page) {
        const reading = readVerdictObject(object)
        if (reading.kind === 'verdict') verdicts.push(reading.verdict)
        else if (reading.kind === 'damaged') notes.push(`an ImageVerdict is damaged and ignored: ${reading.problem}`)
      }
    }
  } catch (error) {
    if (!(error instanceof KubernetesError) || error.status !== 404) throw error
    notes.push('this cluster knows no ImageVerdict objects (manifests/crds): no image counts as flagged')
  }
  return { verdicts, notes }
}

async function readAllNamespaces(client: KubernetesClient, signal: AbortSignal): Promise<ReadonlyMap<string, Labels>> {
  const all = new Map<string, Labels>()
  for await (const page of listPages(client, '/api/v1/namespaces', { signal })) {
    for (const object of page) all.set(...readNamespace(object))
  }
  return all
}

async function readNamespaces(
  client: KubernetesClient,
  names: readonly string[],
): Promise<ReadonlyMap<string, Labels>> {
  const found = new Map<string, Labels>()
  for (const name of names) {
    if (!NAME.test(name)) throw new Error(`"${name}" is no name of a namespace`)
    try {
      found.set(...readNamespace(await client.request('GET', `/api/v1/namespaces/${name}`)))
    } catch (error) {
      if (!(error instanceof KubernetesError) || error.status !== 404) throw error
      throw new Error(`there is no namespace ${name}`, { cause: error })
    }
  }
  return found
}

function readNamespace(object: unknown): [string, Labels] {
  const { metadata } = object as { metadata: { name: string; labels?: Labels | null } }
  return [metadata.name, metadata.labels ?? {}]
}
