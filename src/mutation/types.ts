/** One step of a JSON Patch (RFC 6902), of the kinds that mutations make. */
export interface PatchOperation {
  readonly op: 'add'
  readonly path: string
  readonly value: unknown
}

/** The seccomp profile to inject; undefined for nothing. As `NamespacePolicy.seccomp`. */
export type SeccompSetting =
  { readonly type: 'RuntimeDefault' } | { readonly type: 'Localhost'; readonly localhostProfile: string } | undefined

/** What is injected, and who asks. */
export interface MutationSettings {
  readonly seccomp: SeccompSetting
  /** Whether the requester is in `system:nodes` (`isNodeRequest`): only then is a mirror pod annotation believed. */
  readonly requesterIsNode: boolean
}
