/** What each of the two threads needs of a cluster, in one call each. */
import { randomUUID } from 'node:crypto'

import type { ContainerDirectory, ContainerRecord } from '../../correlator/types.ts'
import type { KnownNode } from '../../kube/nodes.ts'
import { parseReference } from '../../kube/reference.ts'
import type { ReadHistory } from '../../kube/revisions.ts'
import type { UndoRollout } from '../../responses/rollBack.ts'
import type { Labels } from '../../kube/types.ts'
import type { VerdictStore } from '../../verdicts/types.ts'
import type { ExceptionSource, OnUseCounted } from '../../policy/exceptionUses.ts'
import type { QuarantineMode } from '../../policy/types.ts'
import { watchBrake } from './brake.ts'
import { createClient, loadKubeConfig } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { confirmUses } from './confirmUses.ts'
import type { ConfirmUsesOptions } from './confirmUses.ts'
import { watchContainers } from './containerDirectory.ts'
import { watchExceptions } from './exceptions.ts'
import { createKubernetesVerdictStore } from './imageVerdicts.ts'
import { listNamespacePods } from './namespacePods.ts'
import type { PodPage } from './namespacePods.ts'
import { watchNamespaces } from './namespaces.ts'
import { watchProfiles } from './profiles.ts'
import type { Profiles, ProfilesOptions } from './profiles.ts'
import { createRevisions } from './revisions.ts'
import { undoRollout } from './undoRollout.ts'
import { keepSafetyNet } from './safetyNet.ts'
import type { SafetyNetKeeper, SafetyNetOptions } from './safetyNet.ts'
import { watchSeccompReports } from './seccompReports.ts'
import { reviewToken } from './tokenReview.ts'
import { readMinor } from './minor.ts'
import { createVerdictEvents } from './verdictEvents.ts'
import type { VerdictEvents } from './verdictEvents.ts'
import { readWebhookConfigurations } from './webhookConfigurations.ts'
import { shareWrites } from './writeShare.ts'

/** How long a start waits for the API server before it gives up with what went wrong last. */
const START_MILLISECONDS = 30_000
/** A cluster is upgraded rarely, and its version is one small request. */
const VERSION_MILLISECONDS = 10 * 60_000

/** A client of a kubeconfig file, or of the service account of the pod. Throws with one line for people. */
export function connect(kubeconfig: string | undefined): KubernetesClient {
  return createClient(loadKubeConfig(kubeconfig === undefined ? 'in-cluster' : { file: kubeconfig }))
}

/** The namespace that Drawbridge itself runs in: its service account's inside a cluster, otherwise the configured one. */
export function ownNamespace(kubeconfig: string | undefined, configured: string): string {
  if (kubeconfig !== undefined) return configured
  const config = loadKubeConfig('in-cluster')
  return config.getContextObject(config.getCurrentContext())?.namespace?.trim() || configured
}

/** What the admission thread sees of a cluster. `T` is a profile as the policy uses it. */
export interface AdmissionView<T> {
  cached(name: string): Labels | undefined
  live(name: string): Promise<Labels | undefined>
  /** Pods of a namespace, page by page, as `listNamespacePods`. */
  listPods(namespace: string, pageSize: number, remainingMs: () => number): AsyncIterable<PodPage>
  /** The cluster's minor version (35 for 1.35); undefined where it could not be read. */
  readonly minor: () => number | undefined
  readonly exceptions: ExceptionSource
  /** What the brake lets verdicts do now. */
  readonly brake: () => QuarantineMode
  readonly readHistory: ReadHistory
  /** Every namespace known now. */
  readonly all: () => ReadonlyMap<string, Labels>
  readonly profiles: Pick<Profiles<T>, 'get' | 'list' | 'read' | 'generation'>
  /** Keeps the parameters of the safety net from now on, looking again when a namespace, a profile, an exception or the brake has changed. Stopped with the view. */
  keepSafetyNet(options: Pick<SafetyNetOptions, 'content' | 'onInStep'>): Pick<SafetyNetKeeper, 'changed'>
  /** What is followed, by name: whether it was read, and seconds since the API server last said anything about it. */
  readonly caches: Readonly<Record<string, { readonly isSynced: () => boolean; readonly age: () => number }>>
  /** The registered webhook configurations as they are now, unchecked. Rejects when they cannot be read. */
  readWebhooks(): ReturnType<typeof readWebhookConfigurations>
  /** Every node with the seccomp profiles that it reports; undefined where reports are not followed. */
  readonly seccompNodes: (() => Iterable<KnownNode>) | undefined
  stop(): Promise<void>
}

/** How the admission thread follows a cluster, and what it is told of. `T` is a profile as the policy uses it. */
export interface AdmissionWatch<T> {
  readonly kubeconfig: string | undefined
  /** The namespace of Drawbridge where a kubeconfig does not say it. */
  readonly namespace: string
  /** What verdicts do where the brake is not set. */
  readonly quarantine: QuarantineMode
  /** The namespace of nodes' reports about seccomp profiles; undefined: there are none. */
  readonly seccompReports: string | undefined
  readonly loadProfile: ProfilesOptions<T>['load']
  readonly onBrake: (mode: QuarantineMode, problem: string | undefined) => void
  /** One line for people. */
  readonly onProblem: (message: string) => void
  readonly onUseCounted: OnUseCounted
  /** Uses of exceptions that a review claimed and the API server did not confirm. */
  readonly onUnconfirmed: ConfirmUsesOptions['onUnconfirmed']
}

/** Follows namespaces, profiles, exceptions, the brake and the cluster's version. Resolves when all of them are known; rejects when the API server cannot be reached. */
export async function watchForAdmission<T extends object>(options: AdmissionWatch<T>): Promise<AdmissionView<T>> {
  const { kubeconfig, onProblem } = options
  const client = connect(kubeconfig)
  const own = ownNamespace(kubeconfig, options.namespace)
  let safetyNet: SafetyNetKeeper | undefined
  const onChange = (): void => safetyNet?.changed()
  const namespaces = watchNamespaces({ client, onChange, onProblem })
  const exceptions = watchExceptions({ client, now: () => Date.now(), onChange, onProblem })
  const uses = confirmUses({
    client,
    now: () => Date.now(),
    onConfirmed(names, by) {
      exceptions.recordUse(names, by)
      options.onUseCounted(names, by)
    },
    onUnconfirmed: options.onUnconfirmed,
    onProblem,
  })
  const profiles = watchProfiles({
    client,
    load: options.loadProfile,
    now: () => performance.now(),
    onChange,
    onProblem,
  })
  const reports =
    options.seccompReports === undefined
      ? undefined
      : watchSeccompReports({ client, namespace: options.seccompReports, now: () => Date.now(), onProblem })
  const braking = watchBrake({
    client,
    namespace: own,
    fallback: options.quarantine,
    onMode: (mode, problem) => {
      options.onBrake(mode, problem)
      onChange()
    },
    onProblem,
  })
  const stop = async (): Promise<void> => {
    await Promise.all([uses.stop(), safetyNet?.stop()])
    await Promise.all([namespaces.stop(), profiles.stop(), exceptions.stop(), reports?.stop(), (await braking).stop()])
    client.close()
  }
  let minor: number | undefined
  const refresh = async (): Promise<void> => {
    minor = (await readMinor(client)) ?? minor
  }
  try {
    await Promise.all([namespaces, profiles, exceptions].map((watched) => watched.synced(START_MILLISECONDS)))
    await refresh()
    await reports?.settled()
  } catch (error) {
    await stop()
    throw error
  }
  const timer = setInterval(
    () => void refresh().catch((error: Error) => onProblem(error.message)),
    VERSION_MILLISECONDS,
  )
  timer.unref()
  return {
    cached: (name) => namespaces.get(name),
    live: (name) => namespaces.getLive(name),
    listPods: (namespace, pageSize, remainingMs) => listNamespacePods(client, namespace, pageSize, remainingMs),
    minor: () => minor,
    all: namespaces.all,
    profiles,
    seccompNodes: reports?.nodes,
    exceptions: { ...exceptions, recordUse: (names, _by, pod) => uses.claim(names, pod) },
    readHistory: createRevisions({ client, now: () => performance.now(), onProblem }),
    brake: (await braking).mode,
    keepSafetyNet(kept) {
      safetyNet = keepSafetyNet({
        ...kept,
        client,
        namespace: own,
        id: randomUUID(),
        now: () => performance.now(),
        wallClock: () => new Date().toISOString(),
        onProblem,
      })
      return safetyNet
    },
    caches: { namespaces, profiles, exceptions },
    readWebhooks: () => readWebhookConfigurations(client),
    async stop() {
      clearInterval(timer)
      await stop()
    },
  }
}

/** What the alert thread sees of a cluster. */
export interface AlertView {
  readonly store: VerdictStore
  readonly directory: ContainerDirectory
  /** Whose token it is; undefined: not valid. Rejects when the API server cannot be asked. */
  reviewToken(token: string): ReturnType<typeof reviewToken>
  /** Tells people of verdicts by Kubernetes Events. */
  readonly events: Omit<VerdictEvents, 'close'>
  readonly readHistory: ReadHistory
  readonly undoRollout: UndoRollout
  /** Calls `onRecord` for every container known and seen from now on, those found before the call first. */
  onRecord(listener: (record: ContainerRecord) => void): void
  close(): Promise<void>
}

/**
 * Follows pods and verdicts, and shares the cap on writes with the other replicas. Resolves when every pod is known; rejects when the API server cannot be
 * reached.
 *
 * @param namespace that Drawbridge itself runs in, where a kubeconfig does not say it
 */
export async function watchForAlerts(
  kubeconfig: string | undefined,
  namespace: string,
  onProblem: (message: string) => void,
  onDropped: (events: number) => void,
): Promise<AlertView> {
  const client = connect(kubeconfig)
  const id = randomUUID()
  const edge = { client, now: () => performance.now(), wallClock: () => new Date().toISOString(), onProblem }
  const writes = shareWrites({ ...edge, namespace: ownNamespace(kubeconfig, namespace), id })
  let early: ContainerRecord[] | undefined = []
  let listener: (record: ContainerRecord) => void = (record) => early?.push(record)
  const directory = watchContainers({
    client,
    normalize: (text) => parseReference(text)?.normalized,
    now: () => Date.now(),
    onRecord: (record) => listener(record),
    onProblem,
  })
  const store = createKubernetesVerdictStore({
    client,
    now: edge.now,
    wallClock: () => Date.now(),
    writes,
    onProblem,
  })
  const events = createVerdictEvents({ ...edge, instance: id, uidOf: (name) => store.uidOf(name), onDropped })
  try {
    await directory.synced(START_MILLISECONDS)
  } catch (error) {
    await directory.stop()
    await store.close()
    await writes.stop()
    client.close()
    throw error
  }
  return {
    store,
    directory,
    reviewToken: (token) => reviewToken(client, token),
    events,
    readHistory: createRevisions(edge),
    undoRollout: (rollback) => undoRollout(client, rollback),
    onRecord(next) {
      listener = next
      for (const record of early ?? []) next(record)
      early = undefined
    },
    async close() {
      await directory.stop()
      await store.close()
      await Promise.all([writes.stop(), events.close()])
      client.close()
    },
  }
}
