/** The pods that are sent, and the reviews that an API server makes of them: with defaults and managed fields, which are half of a real review. */

/** What a pod of the measurements consists of. */
export interface PodOptions {
  /** Default 2: a web server and its exporter. */
  readonly containers?: number
  /** The first of them is this one of those that a large pod would have. Default 0. */
  readonly firstContainer?: number
  /** Environment variables of each container beside the usual two: they make a pod large without making it slow to judge. */
  readonly settings?: number
  /** Whether the pod names its seccomp profile, so that nothing is left to inject. Default true. */
  readonly seccomp?: boolean
}

/** About 5.8 KB as a review: two containers, 120 mutually different fields. */
export const TYPICAL: PodOptions = {}
/** About 100 KB as a review: two containers with many environment variables, as charts make them. */
export const LARGE: PodOptions = { settings: 330 }

const securityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  runAsUser: 10001,
  capabilities: { drop: ['ALL'] },
}

function container(index: number, settings: number): object {
  const name = index === 0 ? 'checkout' : index === 1 ? 'metrics-exporter' : `worker-${index}`
  return {
    name,
    image: `registry.example.com/shop/${name}:v2.14.3`,
    ports: [{ name: `port-${index}`, containerPort: 8080 + index, protocol: 'TCP' }],
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
      { name: 'LOG_LEVEL', value: 'info' },
      ...Array.from({ length: settings }, (_, number) => ({
        name: `SETTING_${String(number).padStart(4, '0')}`,
        value: `value-${number}-${'x'.repeat(40)}`,
      })),
    ],
    resources: { limits: { memory: '256Mi' }, requests: { cpu: '100m', memory: '128Mi' } },
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
    readinessProbe: {
      httpGet: { path: '/readyz', port: `port-${index}`, scheme: 'HTTP' },
      timeoutSeconds: 2,
      periodSeconds: 10,
      successThreshold: 1,
      failureThreshold: 3,
    },
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: 'IfNotPresent',
    securityContext,
  }
}

/** A pod that `restricted` allows, as somebody would create it in `namespace`. */
export function pod(
  namespace: string,
  { containers = 2, firstContainer = 0, settings = 0, seccomp = true }: PodOptions = {},
): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'checkout-6c9f7d8b5d-x2x8q',
      namespace,
      labels: {
        'app.kubernetes.io/instance': 'checkout-prod',
        'app.kubernetes.io/name': 'checkout',
        'pod-template-hash': '6c9f7d8b5d',
      },
      annotations: { 'prometheus.io/scrape': 'true' },
    },
    spec: {
      volumes: [{ name: 'tmp', emptyDir: {} }],
      containers: Array.from({ length: containers }, (_, index) => container(firstContainer + index, settings)),
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'default',
      serviceAccount: 'default',
      automountServiceAccountToken: false,
      securityContext: {
        runAsNonRoot: true,
        fsGroup: 10001,
        ...(seccomp && { seccompProfile: { type: 'RuntimeDefault' } }),
      },
      schedulerName: 'default-scheduler',
      enableServiceLinks: true,
    },
  }
}

/** The field set of a value as `metadata.managedFields` writes it. */
function fieldSet(value: unknown): object {
  if (Array.isArray(value)) {
    const named = (value as readonly unknown[]).filter(
      (item): item is { readonly name: string } => typeof item === 'object' && item !== null && 'name' in item,
    )
    return Object.fromEntries(
      named.map((item) => [`k:{"name":"${item.name}"}`, { '.': {}, ...(fieldSet(item) as Record<string, object>) }]),
    )
  }
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [`f:${key}`, fieldSet(inner)]))
    : {}
}

/** The AdmissionReview of creating that pod. */
export function reviewOf(namespace: string, options: PodOptions = {}): object {
  const { metadata, spec, ...kind } = pod(namespace, options) as { metadata: { name: string }; spec: object }
  const resource = { group: '', version: 'v1', resource: 'pods' }
  const podKind = { group: '', version: 'v1', kind: 'Pod' }
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: '5b7690e9-98ae-4f9c-808c-e36d2508eb7b',
      kind: podKind,
      resource,
      requestKind: podKind,
      requestResource: resource,
      name: metadata.name,
      namespace,
      operation: 'CREATE',
      userInfo: { username: 'admin', uid: 'admin-uid', groups: ['system:masters', 'system:authenticated'] },
      object: {
        ...kind,
        metadata: {
          ...metadata,
          uid: 'c64a766e-d2ef-41ef-a1dd-e95ba3988083',
          generation: 1,
          creationTimestamp: '2026-11-22T05:10:04Z',
          managedFields: [
            {
              manager: 'kubectl-create',
              operation: 'Update',
              apiVersion: 'v1',
              time: '2026-11-22T05:10:04Z',
              fieldsType: 'FieldsV1',
              fieldsV1: fieldSet({ spec }),
            },
          ],
        },
        spec,
        status: { phase: 'Pending', qosClass: 'Burstable' },
      },
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'kubectl-create' },
    },
  }
}
