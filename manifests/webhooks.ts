/**
 * The webhook entries as data, and the configuration objects made from them: which requests the API server sends to Drawbridge.
 *
 * Every namespace is served by exactly one validating entry per resource, so that no request is sent twice: `enforce` wins over
 * `quarantine`, that over `warn`, that over `audit`. The entry that is called also gives the weaker answers of its namespace
 * (the warnings of a `warn` label beside `enforce`, for example). Selector terms are ANDed, hence one entry per case.
 */
import { GROUP, LABEL, POD_SECURITY_LABEL } from '../src/kube/names.ts'

export interface LabelTerm {
  readonly key: string
  readonly operator: 'Exists' | 'DoesNotExist' | 'In' | 'NotIn'
  readonly values?: readonly string[]
}

export interface Rule {
  readonly apiGroups: readonly string[]
  readonly apiVersions: readonly string[]
  readonly operations: readonly ('CREATE' | 'UPDATE' | 'DELETE')[]
  readonly resources: readonly string[]
  readonly scope: 'Namespaced' | 'Cluster'
}

/** One webhook of a configuration, without what depends on the installation. */
export interface WebhookEntry {
  readonly name: string
  readonly type: 'mutating' | 'validating'
  readonly failurePolicy: 'Fail' | 'Ignore'
  /** What the labels of the namespace must say. */
  readonly namespaceLabels: readonly LabelTerm[]
  readonly rules: readonly Rule[]
  /** Set for an entry about cluster-scoped objects: where it is sent, and which changes (a CEL expression). */
  readonly clusterScoped?: { readonly path: string; readonly matchCondition?: string | undefined } | undefined
}

/** `namespaces`: only where a label asks for it. `cluster`: verdicts hold in every namespace without `quarantine: off`. */
export type QuarantineScope = 'namespaces' | 'cluster'

/** How the API server reaches Drawbridge. */
export type Endpoint =
  | { readonly url: string }
  | { readonly service: { readonly namespace: string; readonly name: string; readonly port?: number | undefined } }

export interface WebhookOptions {
  readonly endpoint: Endpoint
  /** PEM of the CA (or CAs, during a rotation); absent where something else fills it in. */
  readonly caBundle?: string | undefined
  /** The namespace that Drawbridge itself runs in, never sent: it must be able to start while it is down. */
  readonly ownNamespace: string
  readonly scope: QuarantineScope
  /** Also send what namespaces with upstream's Pod Security labels concern. Default false. */
  readonly podSecurityLabels?: boolean | undefined
}

/** A MutatingWebhookConfiguration or ValidatingWebhookConfiguration, ready for YAML. */
export interface WebhookConfiguration {
  readonly apiVersion: 'admissionregistration.k8s.io/v1'
  readonly kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration'
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  readonly webhooks: readonly Readonly<Record<string, unknown>>[]
}

const exists = (key: string): LabelTerm => ({ key, operator: 'Exists' })
const absent = (key: string): LabelTerm => ({ key, operator: 'DoesNotExist' })
const notOff = (key: string): LabelTerm => ({ key, operator: 'NotIn', values: ['off'] })
const off = (key: string): LabelTerm => ({ key, operator: 'In', values: ['off'] })

const rule = (apiGroup: string, operations: Rule['operations'], resources: readonly string[]): Rule => ({
  apiGroups: [apiGroup],
  apiVersions: ['*'],
  operations,
  resources,
  scope: 'Namespaced',
})

/** The eight kinds that carry a pod template. */
const WORKLOADS: readonly Rule[] = [
  rule('apps', ['CREATE', 'UPDATE'], ['deployments', 'daemonsets', 'statefulsets', 'replicasets']),
  rule('batch', ['CREATE', 'UPDATE'], ['jobs', 'cronjobs']),
  rule('', ['CREATE', 'UPDATE'], ['replicationcontrollers', 'podtemplates']),
]

const PODS: readonly Rule[] = [
  rule('', ['CREATE', 'UPDATE'], ['pods']),
  rule('', ['UPDATE'], ['pods/ephemeralcontainers', 'pods/resize']),
]

/**
 * Profiles are checked by Drawbridge beyond what the CRD can say, and one in use cannot be deleted (rule 8). Down means: no profile can be
 * changed, everything else goes on.
 */
const PROFILES: WebhookEntry = {
  name: 'profiles.drawbridge.dev',
  type: 'validating',
  failurePolicy: 'Fail',
  namespaceLabels: [],
  rules: [
    {
      apiGroups: [GROUP],
      apiVersions: ['*'],
      operations: ['CREATE', 'UPDATE', 'DELETE'],
      resources: ['admissionprofiles'],
      scope: 'Cluster',
    },
  ],
  clusterScoped: { path: '/validate-profiles' },
}

/**
 * The labels of a namespace changed and hold one of ours or of Pod Security. Ignore: the guard (guard.ts) holds without us, a label that
 * nobody can resolve enforces restricted anyway, and a cluster that cannot make namespaces cannot be repaired.
 */
const NAMESPACES: WebhookEntry = {
  name: 'namespaces.drawbridge.dev',
  type: 'validating',
  failurePolicy: 'Ignore',
  namespaceLabels: [],
  rules: [{ ...rule('', ['CREATE', 'UPDATE'], ['namespaces']), scope: 'Cluster' }],
  clusterScoped: {
    path: '/validate-namespaces',
    matchCondition: [
      'has(object.metadata.labels) && object.metadata.labels.exists(key, key.startsWith("drawbridge.dev/") || key.startsWith("pod-security.kubernetes.io/"))',
      '(request.operation == "CREATE" || !has(oldObject.metadata.labels) || object.metadata.labels != oldObject.metadata.labels)',
    ].join(' && '),
  },
}

/**
 * "CREATE, or the pod spec or template differs from the old one": scaling down, a controller's status and a finaliser pass while
 * Drawbridge is down, a new image does not. An error in a condition refuses the request under Fail, so every field that may be
 * absent is asked for first. Kinds are those after conversion (`matchPolicy: Equivalent`), the same in every version.
 */
export const SIGNIFICANT_CHANGE = [
  'request.operation == "CREATE" || (',
  'request.kind.kind == "Pod" ? object.spec != oldObject.spec :',
  'request.kind.kind == "PodTemplate" ? (has(object.template) != has(oldObject.template) || (has(object.template) && object.template != oldObject.template)) :',
  'request.kind.kind == "CronJob" ? object.spec.jobTemplate != oldObject.spec.jobTemplate :',
  '(has(object.spec.template) != has(oldObject.spec.template) || (has(object.spec.template) && object.spec.template != oldObject.spec.template)))',
].join(' ')

/**
 * The table of docs/design.md. Names are stable: they appear in the API server's errors and metrics.
 *
 * @param scope whether verdicts hold only where a label asks for it
 * @param podSecurityLabels whether upstream's labels ask for checks too
 */
export function webhookEntries(scope: QuarantineScope, podSecurityLabels = false): readonly WebhookEntry[] {
  const mutate = { type: 'mutating', failurePolicy: 'Fail', rules: [rule('', ['CREATE'], ['pods'])] } as const
  const fail = { type: 'validating', failurePolicy: 'Fail' } as const
  const advise = { type: 'validating', failurePolicy: 'Ignore', rules: [...PODS, ...WORKLOADS] } as const
  const { enforce, quarantine, warn, audit, seccomp } = LABEL
  // Namespaces without `enforce` that no quarantine entry serves. "Absent or off" is an OR, which a selector cannot say.
  const notQuarantined: readonly (readonly [string, LabelTerm])[] =
    scope === 'cluster'
      ? [['', off(quarantine)]]
      : [
          ['', absent(quarantine)],
          ['-quarantine-off', off(quarantine)],
        ]
  const quarantined: readonly LabelTerm[] =
    scope === 'cluster'
      ? [absent(enforce), notOff(quarantine)]
      : [absent(enforce), exists(quarantine), notOff(quarantine)]
  return [
    { ...mutate, name: 'mutate.drawbridge.dev', namespaceLabels: [exists(enforce)] },
    {
      ...mutate,
      name: 'mutate-seccomp-only.drawbridge.dev',
      namespaceLabels: [absent(enforce), exists(seccomp), notOff(seccomp)],
    },
    { ...fail, name: 'enforce.drawbridge.dev', rules: PODS, namespaceLabels: [exists(enforce)] },
    { ...fail, name: 'verdicts.drawbridge.dev', rules: WORKLOADS, namespaceLabels: [exists(enforce)] },
    // Without `enforce` no other entry sees the pods, and a verdict must reach them too.
    {
      ...fail,
      name: scope === 'cluster' ? 'verdicts-cluster.drawbridge.dev' : 'verdicts-quarantine-only.drawbridge.dev',
      rules: [...PODS, ...WORKLOADS],
      namespaceLabels: quarantined,
    },
    ...notQuarantined.flatMap(([suffix, term]) => {
      const rest = [absent(enforce), term]
      const upstream = podSecurityLabels ? podSecurityEntries(suffix, rest, fail, advise) : []
      // Where upstream's `enforce` stands, its entries give these answers too.
      const advised = podSecurityLabels ? [...rest, absent(POD_SECURITY_LABEL.enforce)] : rest
      return [
        ...upstream,
        { ...advise, name: `advise-warn${suffix}.drawbridge.dev`, namespaceLabels: [...advised, exists(warn)] },
        {
          ...advise,
          name: `advise-audit${suffix}.drawbridge.dev`,
          namespaceLabels: [...advised, absent(warn), exists(audit)],
        },
      ]
    }),
    PROFILES,
    NAMESPACES,
  ]
}

/** Entries for namespaces that only upstream's labels speak for. `rest` says that no other entry with Fail serves them. */
function podSecurityEntries(
  suffix: string,
  rest: readonly LabelTerm[],
  fail: Pick<WebhookEntry, 'type' | 'failurePolicy'>,
  advise: Pick<WebhookEntry, 'type' | 'failurePolicy' | 'rules'>,
): readonly WebhookEntry[] {
  const { enforce, warn, audit } = POD_SECURITY_LABEL
  const onlyUpstream = [...rest, absent(enforce), absent(LABEL.warn), absent(LABEL.audit)]
  return [
    {
      ...fail,
      name: `pod-security-enforce${suffix}.drawbridge.dev`,
      rules: PODS,
      namespaceLabels: [...rest, exists(enforce)],
    },
    // As upstream: templates are only warned about, so their answer is not worth an outage.
    {
      ...advise,
      name: `pod-security-templates${suffix}.drawbridge.dev`,
      rules: WORKLOADS,
      namespaceLabels: [...rest, exists(enforce)],
    },
    { ...advise, name: `pod-security-warn${suffix}.drawbridge.dev`, namespaceLabels: [...onlyUpstream, exists(warn)] },
    {
      ...advise,
      name: `pod-security-audit${suffix}.drawbridge.dev`,
      namespaceLabels: [...onlyUpstream, absent(warn), exists(audit)],
    },
  ]
}

function clientConfig(options: WebhookOptions, path: string): Readonly<Record<string, unknown>> {
  const ca = options.caBundle === undefined ? {} : { caBundle: Buffer.from(options.caBundle).toString('base64') }
  if ('url' in options.endpoint) return { url: options.endpoint.url.replace(/\/+$/, '') + path, ...ca }
  const { namespace, name, port } = options.endpoint.service
  return { service: { namespace, name, path, port: port ?? 443 }, ...ca }
}

function matchConditions({ clusterScoped }: WebhookEntry): Readonly<Record<string, unknown>> {
  if (clusterScoped === undefined)
    return { matchConditions: [{ name: 'significant-change', expression: SIGNIFICANT_CHANGE }] }
  const { matchCondition } = clusterScoped
  return matchCondition === undefined ? {} : { matchConditions: [{ name: 'concerned', expression: matchCondition }] }
}

/**
 * The two configuration objects, named `drawbridge`.
 *
 * @param options where Drawbridge listens, its CA, its namespace and the reach of verdicts
 */
export function webhookConfigurations(options: WebhookOptions): readonly WebhookConfiguration[] {
  const excluded = [...new Set(['kube-system', options.ownNamespace])]
  const webhook = (entry: WebhookEntry): Readonly<Record<string, unknown>> => ({
    name: entry.name,
    clientConfig: clientConfig(
      options,
      entry.clusterScoped?.path ?? (entry.type === 'mutating' ? '/mutate' : '/validate'),
    ),
    failurePolicy: entry.failurePolicy,
    ...(entry.clusterScoped
      ? {}
      : {
          namespaceSelector: {
            // The API server itself sets this label; nobody else can.
            matchExpressions: [
              { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: excluded },
              ...entry.namespaceLabels,
            ],
          },
        }),
    rules: entry.rules,
    ...matchConditions(entry),
    matchPolicy: 'Equivalent',
    sideEffects: 'NoneOnDryRun',
    timeoutSeconds: 5,
    admissionReviewVersions: ['v1'],
    ...(entry.type === 'mutating' ? { reinvocationPolicy: 'IfNeeded' } : {}),
  })
  const entries = webhookEntries(options.scope, options.podSecurityLabels)
  const configuration = (kind: WebhookConfiguration['kind'], type: WebhookEntry['type']): WebhookConfiguration => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name: 'drawbridge', labels: { 'app.kubernetes.io/name': 'drawbridge' } },
    webhooks: entries.filter((entry) => entry.type === type).map(webhook),
  })
  return [
    configuration('MutatingWebhookConfiguration', 'mutating'),
    configuration('ValidatingWebhookConfiguration', 'validating'),
  ]
}
