/**
 * What the Kubernetes API saw people do. Rules of Drawbridge's own decoder of the audit log, and those of Falco's k8saudit plugin:
 * falcosecurity/plugins plugins/k8saudit/rules/k8s_audit_rules.yaml (read at 0b3cbd8d84eb). None of them weighs: an image did none of it.
 */
import { rows, type ShippedRule } from './types.ts'

/** Class of every audit rule that is in no table. */
export const AUDIT_DEFAULT_CLASS = 'cluster-administration'

/** Named as `sources/k8sAudit.ts` names its findings; the aliases are what docs/rules.md called them first. */
export const AUDIT: readonly ShippedRule[] = [
  { rule: 'exec', aliases: ['Exec into pod'], class: 'shell' },
  { rule: 'attach', aliases: ['Attach to pod'], class: 'shell' },
  { rule: 'port-forward', aliases: ['Port-forward to pod'], class: 'port-forward' },
  { rule: 'ephemeral-container', aliases: ['Ephemeral container added'], class: 'debug-container' },
]

const ADMINISTRATION = [
  'Disallowed K8s User',
  'Create NodePort Service',
  'Create/Modify Configmap With Private Credentials',
  'Anonymous Request Allowed',
  'Create Disallowed Namespace',
  'Pod Created in Kube Namespace',
  'Service Account Created in Kube Namespace',
  'System ClusterRole Modified/Deleted',
  'Attach to cluster-admin Role',
  'ClusterRole With Wildcard Created',
  'ClusterRole With Write Privileges Created',
  'ClusterRole With Pod Exec Created',
  ...[
    'Deployment',
    'Service',
    'ConfigMap',
    'Namespace',
    'Serviceaccount',
    'Role',
    'ClusterRole',
    'RoleBinding',
    'ClusterRoleBinding',
    'Secret',
  ].flatMap((kind) => [`K8s ${kind} Created`, `K8s ${kind} Deleted`]),
  'K8s Secret Get Successfully',
  'K8s Secret Get Unsuccessfully Tried',
  'All K8s Audit Events',
  'Full K8s Administrative Access',
  'Ingress Object without TLS Certificate Created',
  'Untrusted Node Successfully Joined the Cluster',
  'Untrusted Node Unsuccessfully Tried to Join the Cluster',
] as const

export const FALCO_K8S_AUDIT: readonly ShippedRule[] = [
  ...rows([
    ['Attach/Exec Pod', 'shell'],
    ['port-forward', 'port-forward'],
    ['EphemeralContainers Created', 'debug-container'],
    ['Create Privileged Pod', 'privileged'],
    ['Create Sensitive Mount Pod', 'host-access'],
    ['Create HostNetwork Pod', 'host-access'],
    ['Create HostPid Pod', 'host-access'],
    ['Create HostIPC Pod', 'host-access'],
    ['Create Disallowed Pod', 'cluster-administration'],
  ]),
  ...ADMINISTRATION.map((rule) => ({ rule, class: AUDIT_DEFAULT_CLASS })),
]
