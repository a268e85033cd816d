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

/**
 * RFC 1123 label: names of namespaces, and of Drawbridge's own objects that a label or an annotation refers to. A name that cannot exist is never asked for
 * at the API server: it could otherwise walk the API's paths.
 */
export const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/u

/** RFC 1123 subdomain: names of most other objects. No such name can be an option of a command, or end one. */
export const DNS_SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/u

/** Set by the kubelet on the API server's copy of a static pod. On its own it proves nothing: anybody can write it. */
export const MIRROR_POD_ANNOTATION = 'kubernetes.io/config.mirror'
