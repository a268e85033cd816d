/** Requests with everything that decides about them, random and by hand: for the model of the safety net here, and for the real API server in test/cluster. */
import * as fc from 'fast-check'
import type { QuarantineScope } from '../../src/kube/webhookEntries.ts'
import { webhookEntries } from '../../src/kube/webhookEntries.ts'
import { matchesLabels } from '../../src/kube/labelSelector.ts'
import { parseReference } from '../../src/kube/reference.ts'
import type { SafetyNetSpec } from '../../src/kube/safetyNet.ts'
import type { AdmissionRequest, Labels } from '../../src/kube/types.ts'
import { loadProfile, type CompiledProfile } from '../../src/policy/compileProfile.ts'
import { readAdmissionException } from '../../src/policy/exceptions.ts'
import type { ListedException } from '../../src/policy/exceptionUses.ts'
import { createExemptions } from '../../src/policy/exemptions.ts'
import { judge } from '../../src/policy/judge.ts'
import { isOptedIn, resolveNamespace } from '../../src/policy/namespace.ts'
import { CHECK_IDS } from '../../src/policy/checks/index.ts'
import type { NamespacePolicy, QuarantineMode } from '../../src/policy/types.ts'
import { netContent } from '../../src/safetyNet/content.ts'
import { flaggedOf } from '../../src/verdicts/flagged.ts'
import { withBrake } from '../../src/verdicts/brake.ts'
import { createVerdictIndex, findFlagged } from '../../src/verdicts/index.ts'
import type { ImageVerdict } from '../../src/verdicts/types.ts'
import { verdict } from '../correlator/support.ts'
import type { SafetyNetModel } from './safetyNetModel.ts'

export const NOW = Date.UTC(2026, 10, 22, 6, 10)
const HOUR = 3600_000
/** When pods that are changed were made. */
const MADE = '2026-11-22T06:05:00Z'
const A = `sha256:${'a'.repeat(64)}`
const B = `sha256:${'b'.repeat(64)}`
const R = 'registry.example'
const MINOR = 35

type Json = Readonly<Record<string, unknown>>

/** What stands on an AdmissionException beside its name; absent: granted in `shop` for all that the net holds. */
export interface Grant {
  readonly namespaces?: readonly string[]
  readonly images?: readonly string[]
  readonly serviceAccounts?: readonly string[]
  readonly checks?: readonly string[]
  readonly expiresAt?: string
  readonly suspended?: boolean
}

export interface Scenario {
  readonly scope: QuarantineScope
  readonly podSecurityEntries: boolean
  /** Of drawbridge.yaml. */
  readonly podSecurityLabels: boolean
  readonly labels: Labels
  readonly namespace: string
  readonly user: string
  readonly pod: Json
  /** Set: the pod is changed from this one. */
  readonly old?: Json | undefined
  readonly grants: Readonly<Record<string, Grant>>
  readonly verdicts: readonly ImageVerdict[]
  readonly brake: QuarantineMode
  readonly exemptions: Readonly<Record<'users' | 'namespaces' | 'runtimeClasses', readonly string[]>>
}

/** AdmissionProfiles that there are. */
const PROFILES: Readonly<Record<string, Json>> = {
  loose: { extends: { level: 'privileged' }, quarantine: 'off' },
  network: { extends: { level: 'baseline' }, allowedCapabilities: ['NET_ADMIN'], quarantine: 'warn' },
  paths: {
    extends: { level: 'standard' },
    allowedHostPathPrefixes: [{ path: '/data' }, { path: '/var/log', readOnly: true }],
  },
  everywhere: { extends: { level: 'baseline' }, allowedHostPathPrefixes: [{ path: '/' }] },
  strict: { extends: { level: 'restricted' }, requireDigest: true, allowedCapabilities: ['SYS_TIME'] },
  old: { extends: { level: 'restricted', version: 'v1.20' } },
}
export const profileObject = (name: string): Json => ({
  apiVersion: 'drawbridge.dev/v1alpha1',
  kind: 'AdmissionProfile',
  metadata: { name },
  spec: PROFILES[name],
})
export const PROFILE_NAMES = Object.keys(PROFILES)
const profiles: readonly CompiledProfile[] = PROFILE_NAMES.map((name) => loadProfile(profileObject(name)).profile!)

/** Names of no profile and of one, each set on a namespace since the parameters were written. */
const UNHEARD = 'unheard'
const NEWER = loadProfile({
  ...profileObject('newer'),
  spec: { extends: { level: 'privileged' } },
}).profile!

const HELD_CHECKS = [
  'privileged',
  'hostNamespaces',
  'hostPathVolumes',
  'restrictedVolumes',
  'allowedHostPaths',
  'capabilities_baseline',
  'capabilities_restricted',
]
export const exceptionObject = (name: string, grant: Grant): Json => ({
  apiVersion: 'drawbridge.dev/v1alpha1',
  kind: 'AdmissionException',
  metadata: { name },
  spec: {
    namespaces: ['shop'],
    images: [`${R}/*/*:*`],
    serviceAccounts: ['*'],
    checks: HELD_CHECKS,
    reason: 'a test',
    expiresAt: '2099-01-01T00:00:00Z',
    ...grant,
  },
})

const listed = (grants: Scenario['grants']): readonly ListedException[] =>
  Object.entries(grants).map(([name, grant]) => ({
    name,
    reading: readAdmissionException(exceptionObject(name, grant)),
  }))

/** The parameter object of a scenario. */
export const specOf = ({
  labels: now,
  namespace,
  grants,
  verdicts,
  brake,
  exemptions,
  podSecurityLabels,
}: Scenario): SafetyNetSpec =>
  netContent(
    {
      profiles,
      namespaces: new Map(
        [UNHEARD, NEWER.name].includes(now['drawbridge.dev/enforce'] ?? '') ? [] : [[namespace, now]],
      ),
      minor: MINOR,
      exceptions: listed(grants),
      verdicts: flaggedOf(verdicts),
      brake,
      exemptions: createExemptions(exemptions),
      podSecurityLabels,
    },
    NOW,
  ).spec

export const requestOf = ({ pod, old, namespace, user }: Scenario, now = NOW): AdmissionRequest => ({
  uid: 'u',
  operation: old === undefined ? 'CREATE' : 'UPDATE',
  kind: { group: '', version: 'v1', kind: 'Pod' },
  resource: { group: '', version: 'v1', resource: 'pods' },
  namespace,
  name: 'web',
  userInfo: { username: user },
  // As the API server: a new pod knows when it was made.
  object: withMetadata(pod, { name: 'web', creationTimestamp: `${new Date(now).toISOString().slice(0, 19)}Z` }),
  ...(old !== undefined && { oldObject: withMetadata(old, { name: 'web', creationTimestamp: MADE }) }),
})

const withMetadata = (pod: Json, more: Json): Json => ({ ...pod, metadata: { ...(pod['metadata'] as Json), ...more } })

/** Whether the webhook denies: by the entry that the API server would call, as webhooks/context.ts and judge.ts decide. */
const webhookDenies = (one: Scenario): boolean => {
  const { labels, scope, podSecurityEntries, podSecurityLabels, verdicts, brake, exemptions, grants } = one
  const request = requestOf(one)
  const entry = webhookEntries(scope, podSecurityEntries).find(
    ({ type, clusterScoped, namespaceLabels, rules }) =>
      type === 'validating' &&
      clusterScoped === undefined &&
      matchesLabels(namespaceLabels, labels) &&
      rules.some(({ resources }) => resources.includes('pods')),
  )
  if (entry === undefined || ['kube-system', 'drawbridge'].includes(one.namespace)) return false
  const resolved = resolveNamespace(labels, {
    latest: MINOR,
    podSecurityLabels,
    profiles: (name) => [...profiles, NEWER].find((profile) => profile.name === name),
  })
  const policy: NamespacePolicy =
    entry.quarantine === undefined || 'drawbridge.dev/quarantine' in labels
      ? resolved
      : { ...resolved, quarantine: entry.quarantine }
  if (!isOptedIn(policy)) return false
  const readings = new Map(listed(grants).map(({ name, reading }) => [name, reading]))
  return !judge({
    request,
    policy,
    exemptions: createExemptions(exemptions),
    exceptions: (name) => readings.get(name),
    now: NOW,
    findFlagged: withBrake(
      findFlagged(createVerdictIndex(verdicts), parseReference, () => NOW),
      () => brake,
    ),
  }).allowed
}

/** What the net says, and whether the webhook denies. */
export const disagreement = (
  one: Scenario,
  model: SafetyNetModel,
): { readonly net: string | undefined; readonly webhook: boolean } => ({
  net: isBound(one) ? model(requestOf(one), one.labels, specOf(one)) : undefined,
  webhook: webhookDenies(one),
})

/** As the binding selects: only where the label says net. */
const isBound = ({ labels, namespace }: Scenario): boolean =>
  labels['drawbridge.dev/when-down'] === 'net' && !['kube-system', 'drawbridge'].includes(namespace)

/** Parts that make a reference of every kind, and things that are none. */
export const anyImage: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(
      '',
      '',
      'docker.io/',
      'index.docker.io/',
      'registry-1.docker.io:443/',
      'Registry.Example/',
      `${R}/`,
      `${R}:443/`,
      `${R}:0443/`,
      `${R}:05000/`,
      `${R}:00000/`,
      `${R}:0123456/`,
      'localhost/',
      'localhost:5000/',
      'localhost:443/',
      'registry:443/',
      'REGISTRY/',
      '[2001:db8::1]:5000/',
      '[::1]/',
      '[::1]:443/',
    ),
    fc.constantFrom('web', 'shop/web', 'library/web', 'a/b/web', 'a.b', 'web-a', 'sha256', 'Web', 'we b', ''),
    fc.constantFrom('', '', ':1', ':latest', ':v1.2', ':1-a', `:${'a'.repeat(64)}`, ':3dc0', ':'),
    fc.constantFrom('', '', '', `@${A}`, `@${B}`, `@sha512:${'c'.repeat(128)}`, '@sha256:abc', '@'),
  )
  .map((parts) => parts.join(''))

const sometimes = <T>(arbitrary: fc.Arbitrary<T>, weight = 3): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

const IMAGES = [
  `${R}/shop/web:1`,
  `${R}/shop/job:2`,
  `${R}/shop/web@${A}`,
  'nginx',
  'docker.io/library/nginx:latest',
  A,
]
const image = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...IMAGES) }, { weight: 1, arbitrary: anyImage })
const capabilityName = fc.constantFrom(
  'SYS_ADMIN',
  'NET_ADMIN',
  'CHOWN',
  'NET_BIND_SERVICE',
  'SYS_TIME',
  'ALL',
  'sys_admin',
)
const HARDENED = { allowPrivilegeEscalation: false, runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } }
const container = fc
  .record({
    image,
    privileged: sometimes(fc.boolean(), 4),
    add: sometimes(fc.array(capabilityName, { maxLength: 2 }), 3),
  })
  .map(({ image: named, privileged, add }) => ({
    image: named,
    securityContext: {
      ...HARDENED,
      capabilities: { drop: ['ALL'], ...(add && { add }) },
      ...(privileged !== undefined && { privileged }),
    },
  }))
const containers = (prefix: string, minLength: number): fc.Arbitrary<readonly object[]> =>
  fc
    .array(container, { minLength, maxLength: 2 })
    .map((list) => list.map((one, index) => ({ name: `${prefix}${index}`, ...one })))
const path = fc.constantFrom(
  '/data',
  '/data/x',
  '//data/./y/',
  '/database',
  '/data/../etc',
  '/',
  '/var/log/pods',
  'data',
  '/data\\x',
)
const volume = fc.oneof(
  path.map((text) => ({ hostPath: { path: text } })),
  fc.constant({ emptyDir: {} }),
  image.map((reference) => ({ image: { reference } })),
)
const NAMES = ['legacy', 'second', 'third']
const annotation = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...NAMES, NAMES.join(','), ' legacy , second') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', ',', 'none', 'legacy;second', '\ufefflegacy', `legacy,${'x'.repeat(1024)}`),
  },
)
const anyPod: fc.Arbitrary<Json> = fc
  .record({
    annotations: sometimes(
      annotation.map((text) => ({ 'drawbridge.dev/exception': text })),
      1,
    ),
    containers: containers('web', 1),
    initContainers: sometimes(containers('init', 0)),
    ephemeralContainers: sometimes(containers('debug', 0)),
    volumes: sometimes(
      fc.array(volume, { maxLength: 2 }).map((list) => list.map((one, index) => ({ name: `v${index}`, ...one }))),
      2,
    ),
    hostPID: sometimes(fc.boolean(), 5),
    hostNetwork: sometimes(fc.boolean(), 5),
    serviceAccountName: sometimes(fc.constantFrom('web', 'default')),
    runtimeClassName: sometimes(fc.constantFrom('kata', 'runc'), 6),
  })
  .map(({ annotations, ...spec }) => asJson({ metadata: { annotations }, spec }))
/** What JSON keeps: nothing that is undefined. */
const asJson = (value: object): Json => JSON.parse(JSON.stringify(value)) as Json

/** The pod before: the same but for some of its containers. */
const previous = (one: Json): fc.Arbitrary<Json> =>
  fc.tuple(sometimes(containers('web', 1), 1), fc.boolean(), fc.boolean()).map(([before, withDebug, withVolumes]) => {
    const { ephemeralContainers, volumes, containers: now, ...spec } = one['spec'] as Json
    return asJson({
      ...one,
      spec: {
        ...spec,
        containers: before ?? now,
        ...(withVolumes && { volumes }),
        ...(withDebug && { ephemeralContainers }),
      },
    })
  })

const grant: fc.Arbitrary<Grant> = fc
  .record({
    namespaces: sometimes(fc.constantFrom(['shop', 'other'], ['other']), 4),
    images: sometimes(
      fc.constantFrom(
        [`${R}/shop/web:*`],
        [`${R}/shop/web:1`, 'nginx:latest'],
        [`${R}/shop/web@${A}`],
        [`${R}/shop/*`],
        ['docker.io/*/*:*'],
      ),
      2,
    ),
    serviceAccounts: sometimes(fc.constantFrom(['web'], ['default', 'web']), 3),
    checks: sometimes(fc.subarray([...CHECK_IDS], { minLength: 1 }), 2),
    expiresAt: sometimes(fc.constantFrom('2020-01-01T00:00:00Z', '2026-11-22T06:09:59Z', '2026-11-22T06:10:20Z'), 4),
    suspended: sometimes(fc.boolean(), 6),
  })
  .map((one) => asJson(one) as Grant)

const reach = sometimes(
  fc.record({
    elsewhere: fc.constantFrom('denying' as const, 'warning' as const),
    denying: fc.constantFrom([], ['shop'], ['other']),
    warning: fc.constantFrom([], ['shop'], ['other']),
  }),
  2,
)
const aVerdict: fc.Arbitrary<ImageVerdict> = fc
  .record({
    digests: fc.constantFrom([], [A], [A, B]),
    references: fc.constantFrom([], [`${R}/shop/web:1`], ['docker.io/library/nginx:latest'], [`${R}/shop/web@${A}`]),
    phase: fc.constantFrom('denying', 'denying', 'denying', 'warning', 'pending', 'observing', 'released'),
    expiresAt: fc.constantFrom(NOW + 30 * 24 * HOUR, NOW + 30_000, NOW - 1),
    reach,
    name: fc.constantFrom(`sha256-${'a'.repeat(64)}`, `sha256-${'b'.repeat(64)}`, `ref-${'c'.repeat(40)}`),
  })
  .map(({ reach: reached, ...one }) =>
    verdict({ ...(one as Partial<ImageVerdict>), ...(reached && { reach: reached }) }),
  )

const level = fc.constantFrom(
  'privileged',
  'baseline',
  'standard',
  'restricted',
  ...PROFILE_NAMES,
  'unknown',
  UNHEARD,
  NEWER.name,
)
const labels: fc.Arbitrary<Labels> = fc
  .record({
    'drawbridge.dev/enforce': fc.oneof(
      { weight: 4, arbitrary: level },
      { weight: 1, arbitrary: fc.constant(undefined) },
    ),
    'drawbridge.dev/enforce-version': sometimes(fc.constantFrom('latest', 'v1.20', 'v1.30', 'V1.30', 'v1.5'), 5),
    'drawbridge.dev/quarantine': sometimes(fc.constantFrom('enforce', 'warn', 'off', 'on')),
    'drawbridge.dev/seccomp': sometimes(fc.constantFrom('off', 'RuntimeDefault', 'localhost.web', 'Off'), 6),
    'drawbridge.dev/warn': sometimes(fc.constant('restricted'), 6),
    'pod-security.kubernetes.io/enforce': sometimes(
      fc.constantFrom('baseline', 'restricted', 'standard', 'privileged'),
      4,
    ),
    'pod-security.kubernetes.io/enforce-version': sometimes(fc.constantFrom('v1.20', 'latest', 'x'), 6),
  })
  .map((set) => ({ ...(asJson(set) as Labels), 'drawbridge.dev/when-down': 'net' }))

/** Any request in a namespace that asks for the net. */
export const scenario: fc.Arbitrary<Scenario> = fc
  .record({
    scope: fc.constantFrom('namespaces' as const, 'cluster' as const),
    podSecurityEntries: fc.boolean(),
    podSecurityLabels: fc.boolean(),
    labels,
    namespace: fc.constantFrom('shop', 'shop', 'shop', 'other'),
    user: fc.constantFrom('somebody', 'somebody', 'robot'),
    pod: anyPod,
    isUpdate: fc.boolean(),
    grants: fc.tuple(...NAMES.map((name) => sometimes(grant, 1).map((one) => [name, one] as const))),
    verdicts: fc.uniqueArray(aVerdict, { maxLength: 2, selector: ({ name }) => name }),
    brake: fc.constantFrom('enforce' as const, 'enforce' as const, 'enforce' as const, 'warn' as const, 'off' as const),
    exemptions: fc.constantFrom(
      { users: [], namespaces: [], runtimeClasses: [] },
      { users: [], namespaces: [], runtimeClasses: [] },
      { users: ['robot'], namespaces: ['other'], runtimeClasses: ['kata'] },
    ),
  })
  .chain(({ isUpdate, grants, ...one }) =>
    (isUpdate ? previous(one.pod) : fc.constant(undefined)).map((old) => ({
      ...one,
      old,
      grants: Object.fromEntries(grants.filter((entry): entry is [string, Grant] => entry[1] !== undefined)),
    })),
  )

const spec = (more: Json = {}, containerMore: Json = {}): Json => ({
  containers: [{ name: 'web', image: `${R}/shop/web:1`, ...containerMore }],
  ...more,
})
const podOf = (podSpec: Json, exception?: string): Json => ({
  metadata: exception === undefined ? {} : { annotations: { 'drawbridge.dev/exception': exception } },
  spec: podSpec,
})
const inContext = (securityContext: Json): Json => spec({}, { securityContext })
const PRIVILEGED = inContext({ privileged: true })

const DEFAULTS: Omit<Scenario, 'pod'> = {
  scope: 'namespaces',
  podSecurityEntries: false,
  podSecurityLabels: false,
  labels: { 'drawbridge.dev/enforce': 'baseline', 'drawbridge.dev/when-down': 'net' },
  namespace: 'shop',
  user: 'somebody',
  grants: {},
  verdicts: [],
  brake: 'enforce',
  exemptions: { users: [], namespaces: [], runtimeClasses: [] },
}

export interface NetCase extends Scenario {
  readonly name: string
  /** Undefined: it passes. */
  readonly denies?: RegExp
}
const one = (name: string, pod: Json, denies: RegExp | undefined, more: Partial<Scenario> = {}): NetCase => ({
  ...DEFAULTS,
  ...more,
  name,
  pod,
  ...(denies && { denies }),
})
const enforcing = (profile: string, more: Labels = {}): Pick<Scenario, 'labels'> => ({
  labels: { 'drawbridge.dev/enforce': profile, 'drawbridge.dev/when-down': 'net', ...more },
})
const onlyQuarantine: Labels = { 'drawbridge.dev/quarantine': 'enforce', 'drawbridge.dev/when-down': 'net' }

const IS_PRIVILEGED =
  /^drawbridge: pod "web" breaks profile \w+ \(safety net\): privileged: container "web": securityContext\.privileged is true, must be false or not set; fix: remove it; exception: drawbridge\.dev\/exception$/
const flagged = verdict({ digests: [A], references: [`${R}/shop/web:1`], expiresAt: NOW + 30 * 24 * HOUR })
const IS_FLAGGED =
  /^drawbridge: pod "web" uses a flagged image \(safety net\): image "[^"]+" is denied: verdict sha256-a{12} until 2026-12-22T06:00:00Z; way out: .*; evidence: drawbridge verdicts show sha256-a{12} --kubeconfig FILE; release: drawbridge verdicts release sha256-a{12} --kubeconfig FILE --as /
const using = (reference: string): Json => podOf({ containers: [{ name: 'web', image: reference }] })
const adding = (reference: string): Json => podOf(spec({ ephemeralContainers: [{ name: 'debug', image: reference }] }))

/** What rule 21 names, and what lets it pass. */
export const netCases: readonly NetCase[] = [
  one('a plain pod', podOf(spec()), undefined),
  ...['baseline', 'standard', 'restricted', 'network', 'paths', 'strict', 'old'].map((profile) =>
    one(
      `a privileged container in a namespace that enforces ${profile}`,
      podOf(PRIVILEGED),
      IS_PRIVILEGED,
      enforcing(profile),
    ),
  ),
  one(
    'a privileged init container',
    podOf(spec({ initContainers: [{ name: 'web', image: 'x', securityContext: { privileged: true } }] })),
    IS_PRIVILEGED,
  ),
  one(
    'a privileged ephemeral container that is added',
    podOf(spec({ ephemeralContainers: [{ name: 'web', image: 'x', securityContext: { privileged: true } }] })),
    IS_PRIVILEGED,
    { old: podOf(spec()) },
  ),
  one('an image that is changed in a privileged pod', podOf(PRIVILEGED), IS_PRIVILEGED, {
    old: podOf(spec({}, { image: 'x', securityContext: { privileged: true } })),
  }),
  one(
    'a change that no check reads in a privileged pod',
    podOf({ ...PRIVILEGED, activeDeadlineSeconds: 5 }),
    undefined,
    { old: podOf(PRIVILEGED) },
  ),
  one('a privileged container where privileged is enforced', podOf(PRIVILEGED), undefined, enforcing('privileged')),
  one('a privileged container where the profile says so', podOf(PRIVILEGED), undefined, enforcing('loose')),
  one('a privileged container where nothing is enforced', podOf(PRIVILEGED), undefined, { labels: onlyQuarantine }),
  one(
    'a privileged container where there is no profile of the name',
    podOf(PRIVILEGED),
    IS_PRIVILEGED,
    enforcing('unknown'),
  ),
  one('what an exception covers where there is no profile of the name', podOf(PRIVILEGED, 'legacy'), undefined, {
    ...enforcing('unknown'),
    grants: { legacy: {} },
  }),
  ...[UNHEARD, NEWER.name].map((name) =>
    one(
      `a privileged container under a profile that it does not know: ${name}`,
      podOf(PRIVILEGED),
      undefined,
      enforcing(name),
    ),
  ),
  ...['hostPID', 'hostNetwork', 'hostIPC'].map((field) =>
    one(
      field,
      podOf(spec({ [field]: true })),
      new RegExp(
        `host namespaces \\(hostNamespaces\\): spec\\.${field} is true, must be false or not set; fix: remove ${field};`,
      ),
    ),
  ),
  one(
    'a hostPath',
    podOf(spec({ volumes: [{ name: 'v', hostPath: { path: '/etc' } }] })),
    /hostPath volumes \(hostPathVolumes\): volume "v" is a hostPath; fix: use another volume type/,
  ),
  one(
    'a hostPath where restricted is enforced',
    podOf(spec({ volumes: [{ name: 'v', hostPath: { path: '/etc' } }] })),
    /hostPath volumes \(restrictedVolumes\)/,
    enforcing('restricted'),
  ),
  ...['/data', '/data/x', '//data/./x/', '/var/log/pods'].map((text) =>
    one(
      `the hostPath ${text} that the profile allows`,
      podOf(spec({ volumes: [{ name: 'v', hostPath: { path: text } }] })),
      undefined,
      enforcing('paths'),
    ),
  ),
  ...['/database', '/data/../etc', '/', 'data', '/data\\x'].map((text) =>
    one(
      `the hostPath ${text} that the profile does not allow`,
      podOf(spec({ volumes: [{ name: 'v', hostPath: { path: text } }] })),
      /hostPath volumes \(allowedHostPaths\)/,
      enforcing('paths'),
    ),
  ),
  one(
    'any hostPath where the profile allows all',
    podOf(spec({ volumes: [{ name: 'v', hostPath: { path: '/etc' } }] })),
    undefined,
    enforcing('everywhere'),
  ),
  ...['SYS_ADMIN', 'NET_RAW', 'ALL', 'sys_admin', 'CAP_SYS_ADMIN'].map((capability) =>
    one(
      `capability ${capability}`,
      podOf(inContext({ capabilities: { add: ['CHOWN', capability] } })),
      new RegExp(
        `capabilities \\(capabilities_baseline\\): container "web": securityContext\\.capabilities\\.add is CHOWN, ${capability}, must be allowed ones only; fix: remove it from add;`,
      ),
    ),
  ),
  one('a default capability', podOf(inContext({ capabilities: { add: ['CHOWN'] } })), undefined),
  one(
    'a capability that the profile allows',
    podOf(inContext({ capabilities: { add: ['NET_ADMIN'] } })),
    undefined,
    enforcing('network'),
  ),
  one(
    'another capability than the profile allows',
    podOf(inContext({ capabilities: { add: ['SYS_TIME'] } })),
    /capabilities/,
    enforcing('network'),
  ),

  ...[`${R}/shop/web:1`, 'Registry.Example:0443/shop/web:1', `${R}/other@${A}`, `nginx:1@${A}`, A].map((text) =>
    one(`the flagged image ${text}`, using(text), IS_FLAGGED, { verdicts: [flagged] }),
  ),
  one('a flagged image volume', podOf(spec({ volumes: [{ name: 'v', image: { reference: `x@${A}` } }] })), IS_FLAGGED, {
    verdicts: [flagged],
    pod: podOf(spec()),
  }),
  one('a flagged image in an ephemeral container that is added', adding(`x@${A}`), IS_FLAGGED, {
    verdicts: [{ ...flagged, references: [] }],
    old: podOf(spec()),
  }),
  one('a flagged image where only verdicts are asked for', using(`x@${A}`), IS_FLAGGED, {
    verdicts: [flagged],
    labels: onlyQuarantine,
  }),
  one('a flagged image where verdicts hold everywhere', using(`x@${A}`), IS_FLAGGED, {
    verdicts: [flagged],
    labels: { 'drawbridge.dev/when-down': 'net' },
    scope: 'cluster',
  }),
  one('a flagged image where there is no profile of the name', using(`x@${A}`), IS_FLAGGED, {
    verdicts: [flagged],
    ...enforcing('unknown'),
  }),
  one('a flagged image under a name that was set meanwhile', using(`x@${A}`), undefined, {
    verdicts: [flagged],
    ...enforcing(UNHEARD),
  }),
  one(
    'a flagged image under a name that was set meanwhile, where the label says enforce',
    using(`x@${A}`),
    IS_FLAGGED,
    {
      verdicts: [flagged],
      ...enforcing(UNHEARD, { 'drawbridge.dev/quarantine': 'enforce' }),
    },
  ),
  one(
    'a flagged image under a name that was set meanwhile, where verdicts hold everywhere',
    using(`x@${A}`),
    IS_FLAGGED,
    {
      verdicts: [flagged],
      ...enforcing(UNHEARD),
      scope: 'cluster',
    },
  ),
  one(
    'the beginning of an image id, which may be any image',
    using('sha256:3dc0'),
    /it is no complete image reference/,
  ),
  one('the beginning of an image id under the brake', using('sha256:3dc0'), undefined, { brake: 'warn' }),
  one('another tag of a flagged image', using(`${R}/shop/web:2`), undefined, { verdicts: [flagged] }),
  one('another digest under a flagged tag', using(`${R}/shop/web:1@${B}`), undefined, { verdicts: [flagged] }),
  one('a flagged image that ran before', adding('y'), undefined, { verdicts: [flagged], old: podOf(spec()) }),
  one('a flagged image where nobody asked', using(`x@${A}`), undefined, {
    verdicts: [flagged],
    labels: { 'drawbridge.dev/when-down': 'net' },
  }),
  one('a flagged image where the label says warn', using(`x@${A}`), undefined, {
    verdicts: [flagged],
    ...enforcing('baseline', { 'drawbridge.dev/quarantine': 'warn' }),
  }),
  one('a flagged image where the profile says warn', using(`x@${A}`), undefined, {
    verdicts: [flagged],
    ...enforcing('network'),
  }),
  one('a flagged image under the brake', using(`x@${A}`), undefined, { verdicts: [flagged], brake: 'off' }),
  one('an image that only warns', using(`x@${A}`), undefined, { verdicts: [{ ...flagged, phase: 'warning' }] }),
  one('an image that waits for a person', using(`x@${A}`), undefined, { verdicts: [{ ...flagged, phase: 'pending' }] }),
  one('a flagged image in a spared namespace', using(`x@${A}`), undefined, {
    verdicts: [{ ...flagged, reach: { elsewhere: 'denying', denying: [], warning: ['shop'] } }],
  }),
  one('an image that is denied elsewhere', using(`x@${A}`), undefined, {
    verdicts: [{ ...flagged, reach: { elsewhere: 'warning', denying: ['other'], warning: [] } }],
  }),
  one('an image that is denied here only', using(`x@${A}`), IS_FLAGGED, {
    verdicts: [{ ...flagged, reach: { elsewhere: 'warning', denying: ['shop'], warning: [] } }],
  }),
  one('an image of a verdict that is over', using(`x@${A}`), undefined, {
    verdicts: [{ ...flagged, expiresAt: NOW - 1 }],
  }),

  one('what an exception covers', podOf({ ...PRIVILEGED, hostPID: true }, 'legacy'), undefined, {
    grants: { legacy: {} },
  }),
  one(
    'what an exception covers by digest',
    podOf(spec({}, { image: `${R}/shop/web@${A}`, securityContext: { privileged: true } }), 'legacy'),
    undefined,
    { grants: { legacy: { images: [`${R}/shop/web@${A}`] } } },
  ),
  one('an exception with more patterns than can be held to', podOf(PRIVILEGED, 'legacy'), undefined, {
    grants: {
      legacy: { images: Array.from({ length: 64 }, (_, index) => `${R}/${'p'.repeat(60)}-${index}/*:*`) },
    },
  }),
  one('what nobody asked an exception for', podOf(PRIVILEGED), IS_PRIVILEGED, { grants: { legacy: {} } }),
  ...(
    [
      ['for another namespace', { namespaces: ['other'] }],
      ['for another service account', { serviceAccounts: ['robot'] }],
      ['for another check', { checks: ['hostNamespaces'] }],
      ['for another image', { images: [`${R}/shop/job:*`] }],
      ['that has expired', { expiresAt: '2026-11-22T06:00:00Z' }],
      ['that is suspended', { suspended: true }],
      ['whose pattern names no tag', { images: [`${R}/shop/web`] }],
    ] as const
  ).map(([what, given]) =>
    one(`a privileged container with an exception ${what}`, podOf(PRIVILEGED, 'legacy'), IS_PRIVILEGED, {
      grants: { legacy: given },
    }),
  ),
  one(
    'hostPID with an exception for one of two images',
    podOf({ ...spec({ hostPID: true }), initContainers: [{ name: 'i', image: 'x' }] }, 'legacy'),
    /hostNamespaces/,
    { grants: { legacy: {} } },
  ),
  one(
    'two violations with two exceptions that cover one each',
    podOf({ ...PRIVILEGED, hostPID: true }, 'a,b'),
    undefined,
    { grants: { a: { checks: ['privileged'] }, b: { checks: ['hostNamespaces'] } } },
  ),
  one(
    'an image of two that two exceptions cover between them',
    podOf({ ...spec({ hostPID: true }), initContainers: [{ name: 'i', image: `${R}/shop/job:1` }] }, 'a,b'),
    /hostNamespaces/,
    { grants: { a: { images: [`${R}/shop/web:*`] }, b: { images: [`${R}/shop/job:*`] } } },
  ),
  one(
    'an exception for the check of another profile',
    podOf(inContext({ capabilities: { add: ['SYS_ADMIN'] } }), 'legacy'),
    /capabilities_restricted/,
    { ...enforcing('restricted'), grants: { legacy: { checks: ['capabilities_baseline'] } } },
  ),
  one(
    'an exception whose image a verdict denies',
    podOf({ ...PRIVILEGED, initContainers: [{ name: 'i', image: 'x' }] }, 'legacy'),
    IS_PRIVILEGED,
    {
      grants: { legacy: {} },
      verdicts: [flagged],
      old: podOf(PRIVILEGED),
    },
  ),
  one('an exception that is asked for behind an invisible character', podOf(PRIVILEGED, '\ufefflegacy '), undefined, {
    grants: { legacy: {} },
  }),
  one('an exempt user', podOf(PRIVILEGED), undefined, { exemptions: { ...DEFAULTS.exemptions, users: ['somebody'] } }),
  one('an exempt namespace', podOf(PRIVILEGED), undefined, {
    exemptions: { ...DEFAULTS.exemptions, namespaces: ['shop'] },
  }),
  one('an exempt RuntimeClass', podOf({ ...PRIVILEGED, runtimeClassName: 'kata' }), undefined, {
    exemptions: { ...DEFAULTS.exemptions, runtimeClasses: ['kata'] },
  }),
  one('a flagged image of an exempt user', using(`x@${A}`), IS_FLAGGED, {
    verdicts: [flagged],
    exemptions: { ...DEFAULTS.exemptions, users: ['somebody'] },
  }),
  one('a privileged container under an upstream label', podOf(PRIVILEGED), IS_PRIVILEGED, {
    labels: { 'pod-security.kubernetes.io/enforce': 'baseline', 'drawbridge.dev/when-down': 'net' },
    podSecurityEntries: true,
    podSecurityLabels: true,
  }),
  one('the same where drawbridge.yaml does not honour it', podOf(PRIVILEGED), undefined, {
    labels: { 'pod-security.kubernetes.io/enforce': 'baseline', 'drawbridge.dev/when-down': 'net' },
    podSecurityEntries: true,
  }),
  one('the same where the entries do not', podOf(PRIVILEGED), undefined, {
    labels: { 'pod-security.kubernetes.io/enforce': 'baseline', 'drawbridge.dev/when-down': 'net' },
    podSecurityLabels: true,
  }),
]
