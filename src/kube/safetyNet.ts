/**
 * The parameter object of the safety net (rule 21): what its ValidatingAdmissionPolicy (manifests/safetyNet.ts) knows of profiles, exceptions and
 * verdicts. Drawbridge writes one, named `drawbridge`; everything in it can be read in other objects of the cluster or in drawbridge.yaml.
 */

export const SAFETY_NET = 'drawbridge'
export const SAFETY_NET_KIND = 'SafetyNet'
export const SAFETY_NETS = 'safetynets'

/** What the net holds of a profile, each by the IDs of the checks that find it. */
export const HELD = ['capabilities', 'hostNamespaces', 'hostPath', 'privileged'] as const
export type Held = (typeof HELD)[number]

/** IDs of checks: an exception for one of them covers the violation. */
export type HeldChecks = Readonly<Partial<Record<Held, readonly string[]>>>

export interface NetProfile {
  /** What holds for flagged images in namespaces that say nothing about it themselves. */
  readonly quarantine: 'enforce' | 'warn' | 'off'
  /** An absent key: the profile allows it, or not only that. */
  readonly checks: HeldChecks
  /** Capabilities that may be added. */
  readonly capabilities: readonly string[]
  /** Paths of the node that may be mounted, with what is below them, each with `/` at both ends. */
  readonly hostPaths: readonly string[]
}

/** One grant, without what it says of checks that the net does not hold. Times as `2026-12-31T00:00:00Z`. */
export interface NetException {
  readonly namespaces: readonly string[]
  /** `*`: any. */
  readonly serviceAccounts: readonly string[]
  readonly checks: readonly string[]
  /** Whole normalised references. */
  readonly images: readonly string[]
  /** Anchored regular expressions (RE2) over normalised references. */
  readonly patterns: readonly string[]
  readonly until: string
}

/** A verdict that denies an image. */
export interface NetVerdict {
  /** As people may write it: twelve digits tell verdicts apart. */
  readonly verdict: string
  readonly until: string
  /** It denies in these namespaces only. */
  readonly namespaces?: readonly string[]
  /** It denies everywhere but in these. */
  readonly except?: readonly string[]
}

export interface SafetyNetSpec {
  /** Those that there are, and names that namespaces enforce without there being one, which mean restricted. */
  readonly profiles: Readonly<Record<string, NetProfile>>
  /** False: not all that there are fit, so nothing is known of a name that is not among them. Absent: written by an older version. */
  readonly profilesComplete?: boolean
  /** For namespaces whose labels are not of one plain profile: an exception for any of these covers the violation. */
  readonly checks: Readonly<Record<Held, readonly string[]>>
  readonly exceptions: Readonly<Record<string, NetException>>
  /** False: not all exceptions fit, so a pod that asks for another one is not held to any check. */
  readonly exceptionsComplete: boolean
  /** As in drawbridge.yaml. */
  readonly exemptions: Readonly<Record<'users' | 'namespaces' | 'runtimeClasses', readonly string[]>>
  /** Whether `pod-security.kubernetes.io/*` labels are honoured. */
  readonly podSecurityLabels: boolean
  /** What the brake lets verdicts do. */
  readonly quarantine: 'enforce' | 'warn' | 'off'
  /** By digest, and by normalised reference; empty while the brake is on. */
  readonly images: Readonly<Record<string, readonly NetVerdict[]>>
}

/** Images (digests and references) in the object at most. */
export const MAX_NET_IMAGES = 5000
