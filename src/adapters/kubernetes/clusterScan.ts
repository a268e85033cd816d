/** What `drawbridge scan` reads of a cluster, with the rights of whoever's kubeconfig it is. Nothing is watched and nothing is written. */
import { DNS_LABEL } from '../../kube/names.ts'
import type { RevisedWorkload, RevisionHistory } from '../../kube/revisions.ts'
import type { Labels } from '../../kube/types.ts'
import { loadProfile } from '../../policy/compileProfile.ts'
import type { CompiledProfile } from '../../policy/compileProfile.ts'
import type { ExceptionReading } from '../../policy/exceptions.ts'
import type { ImageVerdict } from '../../verdicts/types.ts'
import type { Workload } from '../../kube/workload.ts'
import type { QuarantineMode } from '../../policy/types.ts'
import { readBrake } from './brake.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { connect } from './cluster.ts'
import { readMinor } from './minor.ts'
import { EXCEPTIONS_PATH, readListedException } from './exceptions.ts'
import { listPages, podPages } from './podPages.ts'
import type { PodOfPage } from './podPages.ts'
import { VERDICTS_PATH } from './imageVerdicts.ts'
import { PROFILES_PATH } from './profiles.ts'
import { readHistory } from './revisions.ts'
import { readVerdictObject } from './verdictObject.ts'
import { workloadPages } from './workloads.ts'

export interface ClusterScan {
  /** The cluster's minor version (35 for 1.35), which is what `latest` means there; undefined where it could not be read. */
  readonly minor: number | undefined
  /** Every verdict there is, read once. */
  readonly verdicts: readonly ImageVerdict[]
  /** Every AdmissionProfile that can be used, and every exception, read once. */
  readonly profiles: ReadonlyMap<string, CompiledProfile>
  readonly exceptions: ReadonlyMap<string, ExceptionReading>
  /** What the brake lets verdicts do; `enforce` where it may not be read. */
  brake(namespace: string): Promise<QuarantineMode>
  /** Everything that wants pods, in pages. */
  workloads(): AsyncIterable<readonly Workload[]>
  /** As readHistory. */
  history(workload: RevisedWorkload): Promise<RevisionHistory | undefined>
  /** What could not be read, one line each for people. */
  readonly notes: readonly string[]
  /** Labels by name: of the namespaces asked for, or of all. Rejects for one that does not exist. */
  namespaces(names?: readonly string[]): Promise<ReadonlyMap<string, Labels>>
  /** The pods of one namespace, or of all, in pages. Ends early when the signal aborts. */
  pods(namespace?: string): AsyncIterable<readonly PodOfPage[]>
  close(): Promise<void>
}

/**
 * Connects, and reads the cluster's version, its verdicts, profiles and exceptions.
 * @param kubeconfig a file; undefined: the service account of the pod
 * @throws an Error with one line for people when the cluster cannot be reached or may not be read
 */
export async function openClusterScan(kubeconfig: string | undefined, signal: AbortSignal): Promise<ClusterScan> {
  const client = connect(kubeconfig)
  // Nobody who stops a scan wants to wait for an API server that does not answer.
  signal.addEventListener('abort', () => client.close(), { once: true })
  try {
    const minor = await readMinor(client)
    const notes: string[] = []
    const note = (line: string): void => void notes.push(line)
    const verdicts = await readVerdicts(client, signal, note)
    const profiles = await readProfiles(client, signal, note)
    const exceptions = await readExceptions(client, signal, note)
    return {
      minor,
      verdicts,
      profiles,
      exceptions,
      notes,
      namespaces: (names) => (names === undefined ? readAllNamespaces(client, signal) : readNamespaces(client, names)),
      pods: (namespace) => podPages(client, namespace, { signal }),
      workloads: () => workloadPages(client, signal),
      history: (workload) => readHistory(client, workload),
      brake: (namespace) => readBrake(client, namespace),
      async close() {
        client.close()
      },
    }
  } catch (error) {
    client.close()
    throw error
  }
}

/** All objects of one of our kinds. A cluster that does not know the kind has none; that is said. */
async function* ownObjects(
  client: KubernetesClient,
  path: string,
  signal: AbortSignal,
  onUnknown: () => void,
): AsyncGenerator {
  try {
    for await (const page of listPages(client, path, { signal })) yield* page
  } catch (error) {
    if (!(error instanceof KubernetesError) || error.status !== 404) throw error
    onUnknown()
  }
}

const unknownKind = (kind: string, therefore: string): string =>
  `this cluster knows no ${kind} objects (manifests/crds): ${therefore}`

async function readVerdicts(
  client: KubernetesClient,
  signal: AbortSignal,
  note: (line: string) => void,
): Promise<readonly ImageVerdict[]> {
  const verdicts: ImageVerdict[] = []
  const unknown = (): void => note(unknownKind('ImageVerdict', 'no image counts as flagged'))
  for await (const object of ownObjects(client, VERDICTS_PATH, signal, unknown)) {
    const reading = readVerdictObject(object, Date.now())
    if (reading.kind === 'verdict') verdicts.push(reading.verdict)
    else if (reading.kind === 'damaged') note(`an ImageVerdict is damaged and ignored: ${reading.problem}`)
  }
  return verdicts
}

async function readProfiles(
  client: KubernetesClient,
  signal: AbortSignal,
  note: (line: string) => void,
): Promise<ReadonlyMap<string, CompiledProfile>> {
  const profiles = new Map<string, CompiledProfile>()
  const unknown = (): void => note(unknownKind('AdmissionProfile', 'only built-in profiles count'))
  for await (const object of ownObjects(client, PROFILES_PATH, signal, unknown)) {
    const { profile, problems } = loadProfile(object)
    if (profile !== undefined) profiles.set(profile.name, profile)
    else note(`an AdmissionProfile cannot be used: ${problems.join('; ')}`)
  }
  return profiles
}

async function readExceptions(
  client: KubernetesClient,
  signal: AbortSignal,
  note: (line: string) => void,
): Promise<ReadonlyMap<string, ExceptionReading>> {
  const exceptions = new Map<string, ExceptionReading>()
  const unknown = (): void => note(unknownKind('AdmissionException', 'nothing is exempt'))
  for await (const object of ownObjects(client, EXCEPTIONS_PATH, signal, unknown)) {
    const listed = readListedException(object)
    if (listed === undefined) continue
    exceptions.set(listed.name, listed.reading)
    const { problem } = listed.reading
    if (problem !== undefined) note(`AdmissionException ${listed.name} is malformed and grants nothing: ${problem}`)
  }
  return exceptions
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
    if (!DNS_LABEL.test(name)) throw new Error(`"${name}" is no name of a namespace`)
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
