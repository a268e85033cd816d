/** What admission knows of the cluster, or of the files that stand in for one. */
import type { NamespaceSource } from '../webhooks/context.ts'
import type { ListPods } from '../webhooks/namespaces.ts'
import { readExceptions } from './cli/exceptions.ts'
import { readNamespaceLabels } from './cli/namespaces.ts'
import { readProfiles } from './cli/profiles.ts'
import type { Config } from './config/config.ts'
import type { ReadHistory } from './kube/revisions.ts'
import type { KnownNode } from './kube/nodes.ts'
import type { Labels } from './kube/types.ts'
import type { AdmissionObserver } from './observe/admission.ts'
import { loadProfile } from './policy/compileProfile.ts'
import type { CompiledProfile, FindProfile } from './policy/compileProfile.ts'
import type { QuarantineMode } from './policy/types.ts'
import { fixedExceptions } from './policy/exceptionUses.ts'
import type { ExceptionSource } from './policy/exceptionUses.ts'
import { netContent, type NetSources } from './safetyNet/content.ts'

interface Verdicts {
  readonly verdicts: () => NetSources['verdicts']
}

/** Where the labels of namespaces, the profiles and the exceptions come from, and which version `latest` is. */
export interface View extends NamespaceSource {
  /** Absent where there are no existing pods. */
  readonly listPods?: ListPods | undefined
  readonly exceptions: ExceptionSource
  /** Absent where there are no workloads. */
  readonly readHistory?: ReadHistory | undefined
  /** What the brake lets verdicts do now. */
  readonly brake: () => QuarantineMode
  readonly minor: () => number | undefined
  /** Every namespace known now. */
  readonly all: () => ReadonlyMap<string, Labels>
  /** Absent where no node reports its seccomp profiles. */
  readonly seccompNodes?: (() => Iterable<KnownNode>) | undefined
  readonly profiles: {
    readonly get: FindProfile
    /** Another number after every change. */
    readonly generation: () => number
    readonly read?: (name: string) => Promise<void>
  }
  /**
   * Keeps the API server's safety net in step with all this and with what is given; the function that comes back says that a verdict may have changed.
   * Absent where there is no API server.
   */
  readonly keepSafetyNet?: (given: Pick<NetSources, 'exemptions' | 'podSecurityLabels'> & Verdicts) => () => void
  /** What is followed, by name: whether it was read, and seconds since the API server last said anything about it. Empty where files say it. */
  readonly caches: Readonly<Record<string, { readonly isSynced: () => boolean; readonly age: () => number }>>
  /** The registered webhook configurations; absent without a cluster. */
  readonly readWebhooks?: (() => Promise<{ readonly mutating: unknown; readonly validating: unknown }>) | undefined
  /** The namespace that Drawbridge itself runs in. */
  readonly ownNamespace: string
  stop(): Promise<void>
}

/** Namespaces and profiles of a standalone server: from files, and the configured labels for every other name. */
export async function standaloneView(config: Config, observer: AdmissionObserver): Promise<View> {
  const { namespaces, namespaceLabels, profiles: profilesPath, exceptions } = config.standalone
  const profiles = profilesPath === undefined ? new Map<string, CompiledProfile>() : await readProfiles(profilesPath)
  const described = namespaces === undefined ? new Map<string, Labels>() : await readNamespaceLabels(namespaces)
  const readings = await readExceptions(exceptions === undefined ? [] : [exceptions])
  for (const [name, { problem }] of readings) if (problem !== undefined) observer.exceptionMalformed(name, problem)
  observer.brakeChanged(config.quarantine.mode, undefined)
  const labels = (name: string): Labels => described.get(name) ?? namespaceLabels
  return {
    cached: labels,
    live: (name) => Promise.resolve(labels(name)),
    minor: () => undefined,
    exceptions: fixedExceptions(
      readings,
      () => Date.now(),
      (names, by) => observer.exceptionsUsed(names, by),
    ),
    brake: () => config.quarantine.mode,
    all: () => described,
    profiles: { get: (name) => profiles.get(name), generation: () => 0 },
    caches: {},
    ownNamespace: config.namespace,
    stop: () => Promise.resolve(),
  }
}

/** Namespaces, profiles, exceptions and the brake of a cluster, followed. Rejects when the API server cannot be reached. */
export async function clusterView(
  kubeconfig: string | undefined,
  config: Config,
  observer: AdmissionObserver,
): Promise<View> {
  // Loaded on demand: the Kubernetes client costs memory and time that a standalone server does not need.
  const { ownNamespace, watchForAdmission } = await import('./adapters/kubernetes/cluster.ts')
  const view = await watchForAdmission({
    kubeconfig,
    namespace: config.namespace,
    quarantine: config.quarantine.mode,
    seccompReports: config.seccomp.reports,
    loadProfile,
    onBrake: (mode, problem) => observer.brakeChanged(mode, problem),
    onProblem: (problem) => observer.clusterProblem(problem),
    onUseCounted: (names, by) => observer.exceptionsUsed(names, by),
    onUnconfirmed: (reason, uses) => observer.exceptionUsesUnconfirmed(reason, uses),
  })
  return {
    ...view,
    ownNamespace: ownNamespace(kubeconfig, config.namespace),
    keepSafetyNet: ({ verdicts, ...given }) =>
      view.keepSafetyNet({
        content: () => {
          const { profiles, exceptions, minor, brake } = view
          const sources = {
            profiles: profiles.list(),
            namespaces: view.all(),
            minor: minor(),
            exceptions: exceptions.list(),
            brake: brake(),
          }
          const { spec, counts } = netContent({ ...given, ...sources, verdicts: verdicts() }, Date.now())
          observer.safetyNetMade(counts)
          return spec
        },
        onInStep: () => observer.safetyNetInStep(),
      }).changed,
  }
}
