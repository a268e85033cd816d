import type { ObjectMeta, PodSpec } from '../kube/types.ts'

/** Built-in profiles, weakest first. `standard` = Pod Security baseline + no root + seccomp set. */
export type BuiltinProfile = 'privileged' | 'baseline' | 'standard' | 'restricted'

/** A Kubernetes minor version, for example 1.35 -> 35; `latest` is newer than every number. */
export type MinorVersion = number | 'latest'

/**
 * One reason why a pod breaks a profile. The unit of denial, of warning and of exception.
 * Text fields name values of the pod; they are shortened and escaped by `denial.ts`, never by checks.
 */
export interface Violation {
  /** The check's ID, for example `capabilities_baseline`. */
  readonly check: string
  /** Upstream's short phrase, for example `host namespaces`: the conformance suite looks for it. */
  readonly reason: string
  /** Field path from the pod, for example `spec.containers[1].securityContext.privileged`. */
  readonly path: string
  /** What was found there, for example `true` or `SYS_ADMIN, NET_RAW`. */
  readonly found: string
  /** What the check wants there, for example `false or absent`. */
  readonly required: string
  /** What to do, for example `remove hostPID or set it to false`. */
  readonly fix: string
  /** The container this is about; absent for a violation of the pod as a whole. */
  readonly container?: string | undefined
}

/** A check at one version: a pure function of the pod. Never throws for a pod that passed `checkPodShape`. */
export type CheckFunction = (metadata: ObjectMeta, spec: PodSpec) => readonly Violation[]

/**
 * One check. Behaviour that changed with a Kubernetes version is a new entry in `versions`; an old one is never edited.
 * `profiles` names the built-in profiles that include it (privileged includes none).
 */
export interface Check {
  readonly id: string
  readonly profiles: readonly BuiltinProfile[]
  readonly versions: readonly { readonly since: number; readonly check: CheckFunction }[]
  /** IDs of weaker checks that this one replaces where both would run (upstream: OverrideCheckIDs). */
  readonly replaces?: readonly string[] | undefined
}

/** The functions of one check at one version. */
export interface CompiledCheck {
  readonly id: string
  readonly check: CheckFunction
}

/** A profile at a version, as a namespace's label asks for it. */
export interface ProfileAtVersion {
  readonly profile: string
  readonly version: MinorVersion
  /** What an AdmissionProfile consists of at this version; absent for a built-in profile, whose name says it. */
  readonly checks?: readonly CompiledCheck[] | undefined
}

/** What is written into containers that say nothing about it themselves. Each is chosen separately. */
export interface Hardening {
  readonly allowPrivilegeEscalation?: false | undefined
  readonly dropAllCapabilities?: boolean | undefined
  readonly runAsNonRoot?: boolean | undefined
  readonly readOnlyRootFilesystem?: boolean | undefined
}

export type QuarantineMode = 'enforce' | 'warn' | 'off'

/** What the labels of one namespace ask for, resolved. */
export interface NamespacePolicy {
  readonly enforce?: ProfileAtVersion | undefined
  readonly warn?: ProfileAtVersion | undefined
  readonly audit?: ProfileAtVersion | undefined
  /** What is injected: a profile type, or `undefined` for nothing. */
  readonly seccomp?:
    { readonly type: 'RuntimeDefault' } | { readonly type: 'Localhost'; readonly localhostProfile: string } | undefined
  /** Of the enforced AdmissionProfile; absent: nothing but seccomp is injected. */
  readonly hardening?: Hardening | undefined
  readonly quarantine: QuarantineMode
  /** Names of profiles that labels ask for and nobody knows: one live read may know them already. */
  readonly unknownProfiles?: readonly string[] | undefined
  /** Labels that could not be resolved, one clear line each. `enforce` is then `restricted` at `latest`. */
  readonly problems: readonly string[]
}

/**
 * What the verdict index says of one image of a pod. `text` is the whole line of the denial or warning,
 * `releasable` texts included; at most 1 KiB.
 */
export interface FlaggedImage {
  readonly verdict: string
  readonly phase: 'warning' | 'denying'
  readonly text: string
}

/** Injected into the judge: looks up an image reference of a pod spec. */
export type FindFlagged = (image: string, namespace: string | undefined) => FlaggedImage | undefined
