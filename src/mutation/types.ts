import type { Hardening } from '../policy/types.ts'

/** One step of a JSON Patch (RFC 6902), of the kinds that mutations make. */
export interface PatchOperation {
  readonly op: 'add'
  readonly path: string
  readonly value: unknown
}

/**
 * One field that a mutation wants, where the pod has none: the steps from the pod to it, and its value. Mutations say only this; `patch.ts`
 * makes one patch of all, so that none can depend on the order in which they run.
 */
export interface Addition {
  readonly path: readonly (string | number)[]
  readonly value: unknown
}

/** The seccomp profile to inject; undefined for nothing. As `NamespacePolicy.seccomp`. */
export type SeccompSetting =
  { readonly type: 'RuntimeDefault' } | { readonly type: 'Localhost'; readonly localhostProfile: string } | undefined

/** What is injected; a `NamespacePolicy` says it. */
export interface Injected {
  readonly seccomp?: SeccompSetting
  readonly hardening?: Hardening | undefined
}

/** What is injected, and who asks. */
export interface MutationSettings extends Injected {
  /** Whether the requester is in `system:nodes` (`isNodeRequest`): only then is a mirror pod annotation believed. */
  readonly requesterIsNode: boolean
}
