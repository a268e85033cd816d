/** One pod for each policy that the migration guides name: it breaks that policy and nothing else. Verdicts of the originals are those that their own texts and tests document. */

export interface SamplePod {
  readonly metadata?: object
  readonly pod?: object
  readonly container?: object
}

/** A pod that passes `restricted` and the policies of all guides, but for these fields. */
export const podWith = ({ metadata, pod, container }: SamplePod): object => {
  const { securityContext: ofPod, ...spec } = (pod ?? {}) as { readonly securityContext?: object }
  const { securityContext: ofContainer, ...fields } = (container ?? {}) as { readonly securityContext?: object }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', ...metadata },
    spec: {
      ...spec,
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' }, ...ofPod },
      containers: [
        {
          name: 'web',
          image: 'openpolicyagent/opa:1.4.2',
          ...fields,
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
            ...ofContainer,
          },
        },
      ],
    },
  }
}

/** `undefined` takes a field of the plain pod away. */
const inContainer = (securityContext: object): SamplePod => ({ container: { securityContext } })
const inPod = (securityContext: object): SamplePod => ({ pod: { securityContext } })
const withVolume = (volume: object): SamplePod => ({ pod: { volumes: [{ name: 'data', ...volume }] } })

const PRIVILEGED = inContainer({ privileged: true, allowPrivilegeEscalation: undefined })
const HOST_NAMESPACE: SamplePod = { pod: { hostPID: true } }
const HOST_PATH = withVolume({ hostPath: { path: '/etc' } })
const HOST_PORT: SamplePod = { container: { ports: [{ containerPort: 80, hostPort: 22 }] } }
const HOST_PROCESS = inContainer({ windowsOptions: { hostProcess: true } })
const ADDED_CAPABILITY = inContainer({ capabilities: { drop: ['ALL'], add: ['SYS_ADMIN'] } })
const PROC_MOUNT = inContainer({ procMount: 'Unmasked' })
const SELINUX = inContainer({ seLinuxOptions: { type: 'spc_t' } })
const APPARMOR: SamplePod = {
  metadata: { annotations: { 'container.apparmor.security.beta.kubernetes.io/web': 'unconfined' } },
}
const UNCONFINED = inPod({ seccompProfile: { type: 'Unconfined' } })
const SYSCTL = inPod({ sysctls: [{ name: 'kernel.msgmax', value: '1' }] })
const NOTHING_DROPPED = inContainer({ capabilities: undefined })
const ESCALATION = inContainer({ allowPrivilegeEscalation: undefined })
const ROOT = inPod({ runAsUser: 0 })
const MAY_BE_ROOT = inPod({ runAsNonRoot: undefined, runAsUser: undefined })
const NETWORK_VOLUME = withVolume({ nfs: { server: 'nfs.example', path: '/' } })
const PROBE_OF_HOST: SamplePod = {
  container: { livenessProbe: { httpGet: { host: '169.254.169.254', port: 80, path: '/' } } },
}

/** kyverno/policies pod-security. */
export const KYVERNO: Readonly<Record<string, SamplePod>> = {
  'disallow-capabilities': ADDED_CAPABILITY,
  'disallow-host-namespaces': HOST_NAMESPACE,
  'disallow-host-path': HOST_PATH,
  'disallow-host-ports': HOST_PORT,
  'disallow-host-process': HOST_PROCESS,
  'disallow-privileged-containers': PRIVILEGED,
  'disallow-proc-mount': PROC_MOUNT,
  'disallow-selinux': SELINUX,
  'restrict-apparmor-profiles': APPARMOR,
  'restrict-seccomp': UNCONFINED,
  'restrict-sysctls': SYSCTL,
  'disallow-capabilities-strict': NOTHING_DROPPED,
  'disallow-privilege-escalation': ESCALATION,
  'require-run-as-non-root-user': ROOT,
  'require-run-as-nonroot': MAY_BE_ROOT,
  'restrict-seccomp-strict': UNCONFINED,
  'restrict-volume-types': NETWORK_VOLUME,
}

/** open-policy-agent/gatekeeper-library library/pod-security-policy. */
export const GATEKEEPER: Readonly<Record<string, SamplePod>> = {
  K8sPSPAppArmor: APPARMOR,
  'K8sPSPCapabilities (allowed)': ADDED_CAPABILITY,
  K8sPSPForbiddenSysctls: SYSCTL,
  K8sPSPHostFilesystem: HOST_PATH,
  K8sPSPHostNamespace: HOST_NAMESPACE,
  K8sPSPHostNetworkingPorts: HOST_PORT,
  K8sPSPHostProbesLifecycle: PROBE_OF_HOST,
  K8sPSPHostProcess: HOST_PROCESS,
  K8sPSPPrivilegedContainer: PRIVILEGED,
  K8sPSPProcMount: PROC_MOUNT,
  K8sPSPSELinuxV2: SELINUX,
  K8sPSPSeccompV2: UNCONFINED,
  K8sPSPAllowPrivilegeEscalationContainer: ESCALATION,
  'K8sPSPAllowedUsers (MustRunAsNonRoot)': MAY_BE_ROOT,
  'K8sPSPCapabilities (requiredDropCapabilities)': NOTHING_DROPPED,
  K8sPSPVolumeTypes: NETWORK_VOLUME,
}

/** Rows of the tables of differences, by their first words: where the pod is judged, and whether Drawbridge allows it. */
export interface Difference {
  readonly row: string
  readonly sample: SamplePod
  /** A level, or the AdmissionProfile of the guide. */
  readonly profile: string
  readonly allowed: boolean
}

const SAYS_NO_SECCOMP = inPod({ seccompProfile: undefined })

export const KYVERNO_DIFFERENCES: readonly Difference[] = [
  { row: 'says nothing of seccomp', sample: SAYS_NO_SECCOMP, profile: 'restricted', allowed: true },
  {
    row: 'appArmorProfile:',
    sample: inPod({ appArmorProfile: { type: 'Unconfined' } }),
    profile: 'baseline',
    allowed: false,
  },
  {
    row: 'a sysctl that is safe since',
    sample: inPod({ sysctls: [{ name: 'net.ipv4.tcp_keepalive_time', value: '60' }] }),
    profile: 'baseline',
    allowed: true,
  },
  { row: 'a probe that names a host', sample: PROBE_OF_HOST, profile: 'baseline', allowed: false },
]

const image = (name: string): SamplePod => ({ container: { image: name } })
const DIGEST = `sha256:${'3d'.repeat(32)}`

export const GATEKEEPER_DIFFERENCES: readonly Difference[] = [
  {
    row: 'a host path /foobar',
    sample: {
      pod: { volumes: [{ name: 'data', hostPath: { path: '/foobar' } }] },
      container: { volumeMounts: [{ name: 'data', mountPath: '/data', readOnly: true }] },
    },
    profile: 'library',
    allowed: false,
  },
  {
    row: 'image openpolicyagent-evil',
    sample: image('openpolicyagent-evil/opa:1'),
    profile: 'library',
    allowed: false,
  },
  {
    row: 'image docker.io/openpolicyagent',
    sample: image('docker.io/openpolicyagent/opa:1'),
    profile: 'library',
    allowed: true,
  },
  { row: 'says nothing of seccomp', sample: SAYS_NO_SECCOMP, profile: 'restricted', allowed: true },
]

/** What the samples of gatekeeper-library allow and deny with the parameters of the guide's profile. */
export const GATEKEEPER_PARAMETERS: readonly {
  readonly what: string
  readonly sample: SamplePod
  readonly breaks?: string
}[] = [
  { what: 'a plain pod', sample: {} },
  {
    what: 'a path below /foo, read-only',
    sample: {
      pod: { volumes: [{ name: 'data', hostPath: { path: '/foo/bar' } }] },
      container: { volumeMounts: [{ name: 'data', mountPath: '/data', readOnly: true }] },
    },
  },
  {
    what: 'the same, writable',
    sample: {
      pod: { volumes: [{ name: 'data', hostPath: { path: '/foo/bar' } }] },
      container: { volumeMounts: [{ name: 'data', mountPath: '/data' }] },
    },
    breaks: 'allowedHostPaths',
  },
  { what: 'a port of the range', sample: { container: { ports: [{ containerPort: 80, hostPort: 8080 }] } } },
  {
    what: 'a port above it',
    sample: { container: { ports: [{ containerPort: 80, hostPort: 9001 }] } },
    breaks: 'hostPorts',
  },
  { what: 'another repository', sample: image('nginx:1.29'), breaks: 'allowedRegistries' },
  { what: 'latest', sample: image('openpolicyagent/opa:latest'), breaks: 'latestTag' },
  { what: 'no tag', sample: image('openpolicyagent/opa'), breaks: 'latestTag' },
  { what: 'a digest', sample: image(`openpolicyagent/opa@${DIGEST}`) },
  {
    what: 'a root file system that can be written',
    sample: inContainer({ readOnlyRootFilesystem: undefined }),
    breaks: 'readOnlyRootFilesystem',
  },
]
