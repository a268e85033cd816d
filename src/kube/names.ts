/** The names that users meet: labels, annotations and the API group. They select; they never exempt. */

export const GROUP = 'drawbridge.dev'
export const VERSION = 'v1alpha1'

export const LABEL = {
  enforce: 'drawbridge.dev/enforce',
  enforceVersion: 'drawbridge.dev/enforce-version',
  warn: 'drawbridge.dev/warn',
  warnVersion: 'drawbridge.dev/warn-version',
  audit: 'drawbridge.dev/audit',
  auditVersion: 'drawbridge.dev/audit-version',
  seccomp: 'drawbridge.dev/seccomp',
  quarantine: 'drawbridge.dev/quarantine',
  whenDown: 'drawbridge.dev/when-down',
} as const

/** Upstream's labels, honoured where `podSecurityLabels` is on (clusters that switched the in-tree plugin off). */
export const POD_SECURITY_LABEL = {
  enforce: 'pod-security.kubernetes.io/enforce',
  warn: 'pod-security.kubernetes.io/warn',
  audit: 'pod-security.kubernetes.io/audit',
} as const

export const EXCEPTION_ANNOTATION = 'drawbridge.dev/exception'

/** Set by the kubelet on the API server's copy of a static pod. On its own it proves nothing: anybody can write it. */
export const MIRROR_POD_ANNOTATION = 'kubernetes.io/config.mirror'
