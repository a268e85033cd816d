import { compileShape, type Mismatch, type Shape } from './shape.ts'
import { printable } from './text.ts'

const localProfile: Shape = { fields: { type: 'string', localhostProfile: 'string' } }
const seLinuxOptions: Shape = { fields: { user: 'string', role: 'string', type: 'string', level: 'string' } }
const windowsOptions: Shape = { fields: { hostProcess: 'boolean', runAsUserName: 'string' } }

const host: Shape = { fields: { host: 'string' } }
const handler: Shape = { fields: { httpGet: host, tcpSocket: host } }

const container: Shape = {
  fields: {
    name: 'string',
    image: 'string',
    command: { list: 'string' },
    args: { list: 'string' },
    ports: { list: { fields: { hostPort: 'integer', containerPort: 'integer' } } },
    securityContext: {
      fields: {
        privileged: 'boolean',
        allowPrivilegeEscalation: 'boolean',
        capabilities: { fields: { add: { list: 'string' }, drop: { list: 'string' } } },
        procMount: 'string',
        readOnlyRootFilesystem: 'boolean',
        runAsNonRoot: 'boolean',
        runAsUser: 'integer',
        runAsGroup: 'integer',
        seLinuxOptions,
        seccompProfile: localProfile,
        appArmorProfile: localProfile,
        windowsOptions,
      },
    },
    livenessProbe: handler,
    readinessProbe: handler,
    startupProbe: handler,
    lifecycle: { fields: { postStart: handler, preStop: handler } },
    restartPolicy: 'string',
    volumeMounts: { list: { fields: { name: 'string', readOnly: 'boolean' } } },
  },
  required: ['name'],
}

const spec: Shape = {
  fields: {
    containers: { list: container, atLeastOne: true },
    initContainers: { list: container },
    ephemeralContainers: { list: container },
    volumes: {
      list: {
        fields: {
          name: 'string',
          hostPath: { fields: { path: 'string' } },
          image: { fields: { reference: 'string' } },
          projected: {
            fields: { sources: { list: { fields: { serviceAccountToken: { fields: { audience: 'string' } } } } } },
          },
        },
        required: ['name'],
        // Every volume type is an object: a type that is a text would otherwise pass as `emptyDir`.
        others: 'object',
      },
    },
    securityContext: {
      fields: {
        runAsNonRoot: 'boolean',
        runAsUser: 'integer',
        runAsGroup: 'integer',
        fsGroup: 'integer',
        supplementalGroups: { list: 'integer' },
        seLinuxOptions,
        seccompProfile: localProfile,
        appArmorProfile: localProfile,
        windowsOptions,
        sysctls: { list: { fields: { name: 'string', value: 'string' }, required: ['name'] } },
      },
    },
    hostNetwork: 'boolean',
    hostPID: 'boolean',
    hostIPC: 'boolean',
    hostUsers: 'boolean',
    serviceAccountName: 'string',
    serviceAccount: 'string',
    automountServiceAccountToken: 'boolean',
    nodeName: 'string',
    os: { fields: { name: 'string' } },
    runtimeClassName: 'string',
  },
  required: ['containers'],
}

const metadata: Shape = {
  fields: {
    name: 'string',
    generateName: 'string',
    namespace: 'string',
    uid: 'string',
    labels: { map: 'string' },
    annotations: { map: 'string' },
    ownerReferences: {
      list: {
        fields: { apiVersion: 'string', kind: 'string', name: 'string', uid: 'string', controller: 'boolean' },
        required: ['kind', 'name'],
      },
    },
  },
}

const checkBoth = compileShape({ fields: { metadata, spec }, required: ['metadata', 'spec'] })

/**
 * Whether `metadata` and `spec` of a pod (or of a template) may be treated as `ObjectMeta` and `PodSpec` (types.ts).
 *
 * `rootPath` is where they stand in the object: empty for a pod, `spec.template` in a Deployment.
 * Returns one line that names the first wrong field, for example
 * `spec.containers[0].image: wanted a string, found a number`, or undefined when every declared field has its type.
 * Null counts as absent, so whoever reads a field afterwards must expect null. Linear in the object; never throws.
 */
export const checkPodShape = (podMetadata: unknown, podSpec: unknown, rootPath: string): string | undefined => {
  const mismatch = checkBoth({ metadata: podMetadata, spec: podSpec })
  return mismatch && describeMismatch(mismatch, rootPath)
}

/** One line for a mismatch: `path: wanted this, found that`, with hostile keys escaped and shortened. */
export const describeMismatch = ({ path, wanted, found }: Mismatch, rootPath: string): string => {
  const full = `${rootPath}${path}`.replace(/^\./u, '')
  return `${full === '' ? 'the document' : printable(full, 160)}: wanted ${wanted}, found ${found}`
}
