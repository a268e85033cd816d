/**
 * The webhook entries as data: which requests the API server sends to Drawbridge, and by which path.
 *
 * Every namespace is served by exactly one validating entry per resource, so that no request is sent twice: `enforce` wins over
 * `quarantine`, that over `warn`, that over `audit`. The entry that is called also gives the weaker answers of its namespace
 * (the warnings of a `warn` label beside `enforce`, for example). Selector terms are ANDed, hence one entry per case, and a sibling with
 * failurePolicy Ignore for `when-down: net` (rule 21).
 *
 * Each entry has a path of its own: a review carries no labels of its namespace, so the path says which ones the API server saw (rule 8).
 * The configurations (manifests/webhooks.ts) and the endpoints (webhooks/routes.ts) are both made from this table.
 */
import type { LabelTerm } from './labelSelector.ts'
import { GROUP, LABEL, POD_SECURITY_LABEL } from './names.ts'

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
  /** Where it is sent. One path means one set of labels, whatever the options: held by a test. */
  readonly path: string
  readonly type: 'mutating' | 'validating'
  readonly failurePolicy: 'Fail' | 'Ignore'
  /** What the labels of the namespace must say. */
  readonly namespaceLabels: readonly LabelTerm[]
  /** What holds for flagged images in namespaces without a `quarantine` label, where it is not what their other labels say. */
  readonly quarantine?: 'enforce' | undefined
  readonly rules: readonly Rule[]
  /** Set for an entry about cluster-scoped objects: which changes (a CEL expression). */
  readonly clusterScoped?: { readonly matchCondition?: string | undefined } | undefined
}

/** `namespaces`: only where a label asks for it. `cluster`: verdicts hold in every namespace without `quarantine: off`. */
export type QuarantineScope = 'namespaces' | 'cluster'

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
  path: '/validate-profiles',
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
  clusterScoped: {},
}

/**
 * The labels of a namespace changed and hold one of ours or of Pod Security; a write of its status or finalisers can change them too
 * (tried). Ignore: the guard (manifests/guard.ts) holds without us, a label that nobody can resolve enforces restricted anyway, and a
 * cluster that cannot make namespaces cannot be repaired.
 */
const NAMESPACES: WebhookEntry = {
  name: 'namespaces.drawbridge.dev',
  path: '/validate-namespaces',
  type: 'validating',
  failurePolicy: 'Ignore',
  namespaceLabels: [],
  rules: [
    { ...rule('', ['CREATE', 'UPDATE'], ['namespaces']), scope: 'Cluster' },
    { ...rule('', ['UPDATE'], ['namespaces/status', 'namespaces/finalize']), scope: 'Cluster' },
  ],
  clusterScoped: {
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

/** Name and path of a validating entry. */
const called = (name: string): Pick<WebhookEntry, 'name' | 'path'> => ({
  name: `${name}.drawbridge.dev`,
  path: `/validate/${name}`,
})

/**
 * The table of docs/design.md. Names are stable: they appear in the API server's errors and metrics.
 *
 * @param scope whether verdicts hold only where a label asks for it
 * @param podSecurityLabels whether upstream's labels ask for checks too
 */
export function webhookEntries(scope: QuarantineScope, podSecurityLabels = false): readonly WebhookEntry[] {
  return tableOf(scope, podSecurityLabels).flatMap(withNet)
}

/**
 * What holds in a namespace while nobody answers is for its label to say (rule 21), and failurePolicy is an entry's: each entry with Fail that a
 * namespace's labels select is two, of which one serves every namespace. `when-down: net` is the only value that opens anything; a typing
 * mistake does not.
 */
const withNet = (entry: WebhookEntry): readonly WebhookEntry[] => {
  if (entry.failurePolicy === 'Ignore' || entry.clusterScoped !== undefined) return [entry]
  const { name, path, namespaceLabels } = entry
  const net = { key: LABEL.whenDown, values: ['net'] }
  return [
    { ...entry, namespaceLabels: [...namespaceLabels, { ...net, operator: 'NotIn' }] },
    {
      ...entry,
      name: name.replace(`.${GROUP}`, `-net.${GROUP}`),
      path: `${path}-net`,
      failurePolicy: 'Ignore',
      namespaceLabels: [...namespaceLabels, { ...net, operator: 'In' }],
    },
  ]
}

function tableOf(scope: QuarantineScope, podSecurityLabels: boolean): readonly WebhookEntry[] {
  const mutate = { type: 'mutating', failurePolicy: 'Fail', rules: [rule('', ['CREATE'], ['pods'])] } as const
  const fail = { type: 'validating', failurePolicy: 'Fail' } as const
  const advise = { type: 'validating', failurePolicy: 'Ignore', rules: [...PODS, ...WORKLOADS] } as const
  const { enforce, quarantine, warn, audit, seccomp } = LABEL
  // Namespaces without `enforce` that no quarantine entry serves. "Absent or off" is an OR, which a selector cannot say.
  const notQuarantined: readonly (readonly [string, LabelTerm])[] =
    scope === 'cluster'
      ? [['-quarantine-off', off(quarantine)]]
      : [
          ['', absent(quarantine)],
          ['-quarantine-off', off(quarantine)],
        ]
  const quarantined: readonly LabelTerm[] =
    scope === 'cluster'
      ? [absent(enforce), notOff(quarantine)]
      : [absent(enforce), exists(quarantine), notOff(quarantine)]
  return [
    { ...mutate, name: 'mutate.drawbridge.dev', path: '/mutate/enforce', namespaceLabels: [exists(enforce)] },
    {
      ...mutate,
      name: 'mutate-seccomp-only.drawbridge.dev',
      path: '/mutate/seccomp-only',
      namespaceLabels: [absent(enforce), exists(seccomp), notOff(seccomp)],
    },
    { ...fail, ...called('enforce'), rules: PODS, namespaceLabels: [exists(enforce)] },
    { ...fail, ...called('verdicts'), rules: WORKLOADS, namespaceLabels: [exists(enforce)] },
    // Without `enforce` no other entry sees the pods, and a verdict must reach them too.
    {
      ...fail,
      ...(scope === 'cluster'
        ? { ...called('verdicts-cluster'), quarantine: 'enforce' }
        : called('verdicts-quarantine-only')),
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
        { ...advise, ...called(`advise-warn${suffix}`), namespaceLabels: [...advised, exists(warn)] },
        {
          ...advise,
          ...called(`advise-audit${suffix}`),
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
      ...called(`pod-security-enforce${suffix}`),
      rules: PODS,
      namespaceLabels: [...rest, exists(enforce)],
    },
    // As upstream: templates are only warned about, so their answer is not worth an outage.
    {
      ...advise,
      ...called(`pod-security-templates${suffix}`),
      rules: WORKLOADS,
      namespaceLabels: [...rest, exists(enforce)],
    },
    { ...advise, ...called(`pod-security-warn${suffix}`), namespaceLabels: [...onlyUpstream, exists(warn)] },
    {
      ...advise,
      ...called(`pod-security-audit${suffix}`),
      namespaceLabels: [...onlyUpstream, absent(warn), exists(audit)],
    },
  ]
}

/**
 * Every entry that a review of this version may come by, each path once. The scope is known to the webhook configurations alone, and those may be
 * older or newer than drawbridge.yaml: a path is known whatever is registered.
 *
 * @param podSecurityLabels whether upstream's labels are honoured
 */
export function entriesByPath(podSecurityLabels: boolean): ReadonlyMap<string, WebhookEntry> {
  const entries = [!podSecurityLabels, podSecurityLabels].flatMap((honoured) => [
    ...webhookEntries('namespaces', honoured),
    ...webhookEntries('cluster', honoured),
  ])
  return new Map(entries.map((entry) => [entry.path, entry]))
}
