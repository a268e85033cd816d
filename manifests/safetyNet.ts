/**
 * The safety net (rule 21): a ValidatingAdmissionPolicy that the API server itself evaluates in namespaces with `when-down: net`, whose webhook entries let
 * everything pass while nobody answers.
 *
 * It cannot know whether the webhook is up, so it always holds, and must never deny what the webhook allows: it denies only where the parameter object
 * (src/safetyNet/content.ts) is sure. test/manifests/safetyNetPolicy.test.ts asks it and the judge about the same requests.
 */
import { EXCEPTION_ANNOTATION, GROUP, LABEL, POD_SECURITY_LABEL, VERSION } from '../src/kube/names.ts'
import { SAFETY_NET, SAFETY_NET_KIND, type Held } from '../src/kube/safetyNet.ts'
import type { QuarantineScope } from '../src/kube/webhookEntries.ts'
import type { KubernetesObject } from './guard.ts'
import { bind, normalizedReference } from './imageExpressions.ts'
import { safetyNetGuardObjects } from './safetyNetGuard.ts'
import { excludedNamespaces } from './webhooks.ts'

export interface SafetyNetOptions {
  /** The namespace that Drawbridge runs in: never held, as it is never sent to the webhook. */
  readonly ownNamespace: string
  /** Who Drawbridge is to the API server. Default: the service account `drawbridge` of its namespace. */
  readonly user?: string | undefined
  readonly scope: QuarantineScope
  /** As given to the webhook entries. Default false. */
  readonly podSecurityLabels?: boolean | undefined
}

const NAME = 'drawbridge-safety-net'
const REGISTRATION = 'admissionregistration.k8s.io/v1'

const list = (holder: string, field: string): string => `(has(${holder}.${field}) ? ${holder}.${field} : [])`
/** Lists and maps hold one type, so it must be said where it is not known. */
const imageOf = (container: string): string => `(has(${container}.image) ? string(${container}.image) : '')`
const fixedImages = (holder: string): string =>
  `${list(`${holder}.spec`, 'initContainers')}.map(c, ${imageOf('c')}) + ['/'] + ${holder}.spec.containers.map(c, ${imageOf('c')})`
const ephemeral = (holder: string): string => list(`${holder}.spec`, 'ephemeralContainers')
const imagesOf = (holder: string): string =>
  [
    `(${list(`${holder}.spec`, 'initContainers')} + ${holder}.spec.containers + ${ephemeral(holder)}).map(c, ${imageOf('c')})`,
    `${list(`${holder}.spec`, 'volumes')}.filter(v, has(v.image)).map(v, has(v.image.reference) ? string(v.image.reference) : '')`,
  ].join(' + ')

/** As `resolveNamespace` (src/policy/namespace.ts) reads them; what else a label says enforces restricted beside its profile. */
const PLAIN_VERSION = '^(latest|v1[.](2[2-9]|[3-9][0-9]|[1-9][0-9]{2,3}))$'
const PLAIN_SECCOMP = '^(off|RuntimeDefault|localhost[.]([A-Za-z0-9_-]+[.])*[A-Za-z0-9_-]+)$'

const label = (name: string): string => `variables.labels['${name}']`
const isSet = (name: string): string => `'${name}' in variables.labels`

/** Whether an exception `e` matches a normalised reference. It is suspended where a verdict denies the image. */
const matches = (reference: string): string =>
  `(${reference} in e.images || e.patterns.exists(p, ${reference}.matches(p))) && !variables.flagged.exists(f, f.reference == ${reference})`

const covers = (held: Held, scope: string): string =>
  `variables.grants.exists(e, variables.checks.${held}.exists(id, id in e.checks) && ${scope})`
/** Rule 9: a violation of the pod needs one exception that matches every image. */
const everyImage = `variables.named.all(n, ${matches('n.reference')})`
/** And one of a container (`c`) one that matches its image. */
const itsImage = bind('image', imageOf('c'), bind('reference', normalizedReference('image'), matches('reference')))

const anyProfile = (held: Held, ...conditions: readonly string[]): string =>
  `variables.profiles.exists(r, ${[`has(r.checks.${held})`, ...conditions].join(' && ')})`

/** As `accessTo` of src/policy/checks/allowedHostPaths.ts. Whether an allowed path is mounted read-only is for the webhook alone. */
const mayMount = [
  `v.hostPath.path.startsWith('/') && !v.hostPath.path.contains('\\\\') && `,
  bind(
    'parts',
    `v.hostPath.path.split('/').filter(part, part != '' && part != '.')`,
    `!('..' in parts) && r.hostPaths.exists(p, ('/' + parts.join('/') + '/').startsWith(p))`,
  ),
].join('')

/** Objects that break it and that no exception covers. */
const found = (held: Held, objects: string): string => `variables.held && ${anyProfile(held)} ? ${objects} : []`

function variablesOf({ scope, podSecurityLabels = false }: SafetyNetOptions): readonly (readonly [string, string])[] {
  const { enforce } = POD_SECURITY_LABEL
  return [
    ['labels', 'has(namespaceObject.metadata.labels) ? namespaceObject.metadata.labels : {}'],
    // What the webhook entries were made with.
    ['verdictsEverywhere', String(scope === 'cluster')],
    ['podSecurityEntries', String(podSecurityLabels)],
    // The API server sets it, to now. No other request says what time it is: it is later than the pod was made.
    ['made', `request.operation == 'CREATE' ? object : oldObject`],
    ['now', `has(variables.made.metadata.creationTimestamp) ? string(variables.made.metadata.creationTimestamp) : ''`],
    ['containers', `${list('object.spec', 'initContainers')} + object.spec.containers + ${ephemeral('object')}`],
    ['named', `(${imagesOf('object')}).map(image, {'image': image, 'reference': ${normalizedReference('image')}})`],

    // Verdicts.
    [
      'quarantined',
      `params.spec.quarantine == 'enforce' && (${[
        `${isSet(LABEL.quarantine)} ? !(${label(LABEL.quarantine)} in ['warn', 'off']) :`,
        `${isSet(LABEL.enforce)} && ${label(LABEL.enforce)} in params.spec.profiles ? params.spec.profiles[${label(LABEL.enforce)}].quarantine == 'enforce' :`,
        // A name that is written on a namespace takes nothing back, unless it may be that of a profile which did not fit.
        `variables.verdictsEverywhere && (!(${isSet(LABEL.enforce)}) || (has(params.spec.profilesComplete) && params.spec.profilesComplete))`,
      ].join(' ')})`,
    ],
    [
      'flagged',
      `variables.quarantined && size(params.spec.images) > 0 ? variables.named.filter(n, [n.reference, n.reference.substring(n.reference.lastIndexOf('@') + 1)].exists(key, key in params.spec.images && params.spec.images[key].exists(i, ${DENIES_HERE}))) : []`,
    ],
    ['before', `oldObject == null ? [] : ${imagesOf('oldObject')}`],
    ['denied', 'variables.flagged.filter(n, !(n.image in variables.before))'],
    // The beginning of an image id: containerd starts the local image that has it, flagged or not.
    [
      'unreadable',
      `variables.quarantined ? variables.named.filter(n, !n.image.contains('/') && n.image.matches('^([a-f0-9]{64}|sha(256|384|512):[a-f0-9]+)$') && !n.reference.contains('@') && !(n.image in variables.before)) : []`,
    ],

    // Checks.
    [
      'judged',
      `request.operation == 'CREATE' || ${fixedImages('object')} != ${fixedImages('oldObject')} || size(${ephemeral('object')}) > size(${ephemeral('oldObject')})`,
    ],
    [
      'exempt',
      `request.namespace in params.spec.exemptions.namespaces || request.userInfo.username in params.spec.exemptions.users || (has(object.spec.runtimeClassName) && object.spec.runtimeClassName in params.spec.exemptions.runtimeClasses)`,
    ],
    ['own', `${isSet(LABEL.enforce)} ? [${label(LABEL.enforce)}] : []`],
    [
      'upstream',
      `params.spec.podSecurityLabels && ${isSet(enforce)} && (variables.podSecurityEntries || ${isSet(LABEL.enforce)}) ? [${label(enforce)}] : []`,
    ],
    // A name that is not known may be that of a profile which is newer than the parameters. Of what no profile has, they say so.
    [
      'profiles',
      `(variables.own.filter(name, name in params.spec.profiles) + variables.upstream.filter(name, name in ['baseline', 'restricted'])).map(name, params.spec.profiles[name])`,
    ],
    [
      'plain',
      [
        'size(variables.own) + size(variables.upstream) == 1 && size(variables.profiles) == 1',
        ...[LABEL.enforceVersion, `${enforce}-version`].map(
          (name) => `(!(${isSet(name)}) || ${label(name)}.matches('${PLAIN_VERSION}'))`,
        ),
        `(!(${isSet(LABEL.seccomp)}) || ${label(LABEL.seccomp)}.matches('${PLAIN_SECCOMP}'))`,
        `(!(${isSet(LABEL.quarantine)}) || ${label(LABEL.quarantine)} in ['enforce', 'warn', 'off'])`,
      ].join(' && '),
    ],
    ['checks', 'variables.plain ? variables.profiles[0].checks : params.spec.checks'],
    [
      'asked',
      `has(object.metadata.annotations) && '${EXCEPTION_ANNOTATION}' in object.metadata.annotations ? object.metadata.annotations['${EXCEPTION_ANNOTATION}'] : ''`,
    ],
    [
      'names',
      `size(variables.asked) > 1024 ? [] : variables.asked.replace('\\ufeff', ' ').split(',').map(name, name.trim())`,
    ],
    [
      'account',
      `has(object.spec.serviceAccountName) && object.spec.serviceAccountName != '' ? object.spec.serviceAccountName : has(object.spec.serviceAccount) && object.spec.serviceAccount != '' ? object.spec.serviceAccount : 'default'`,
    ],
    [
      'grants',
      `variables.names.filter(name, name in params.spec.exceptions).map(name, params.spec.exceptions[name]).filter(e, variables.now < e.until && request.namespace in e.namespaces && ('*' in e.serviceAccounts || variables.account in e.serviceAccounts))`,
    ],
    [
      'held',
      `size(variables.profiles) > 0 && variables.judged && !variables.exempt && (params.spec.exceptionsComplete || variables.asked == '' || variables.names.all(name, name in params.spec.exceptions))`,
    ],
    [
      'privileged',
      found(
        'privileged',
        `variables.containers.filter(c, has(c.securityContext) && has(c.securityContext.privileged) && c.securityContext.privileged && !${covers('privileged', itsImage)})`,
      ),
    ],
    [
      'hostNamespaces',
      bind(
        'fields',
        found(
          'hostNamespaces',
          ['hostNetwork', 'hostPID', 'hostIPC']
            .map((field) => `(has(object.spec.${field}) && object.spec.${field} ? ['${field}'] : [])`)
            .join(' + '),
        ),
        `size(fields) > 0 && !${covers('hostNamespaces', everyImage)} ? fields : []`,
      ),
    ],
    [
      'hostPath',
      bind(
        'mounted',
        found(
          'hostPath',
          `${list('object.spec', 'volumes')}.filter(v, has(v.hostPath) && ${anyProfile('hostPath', `!(${mayMount})`)})`,
        ),
        `size(mounted) > 0 && !${covers('hostPath', everyImage)} ? mounted : []`,
      ),
    ],
    [
      'capabilities',
      found(
        'capabilities',
        `variables.containers.filter(c, has(c.securityContext) && has(c.securityContext.capabilities) && has(c.securityContext.capabilities.add) && c.securityContext.capabilities.add.exists(name, ${anyProfile('capabilities', '!(name in r.capabilities)')}) && !${covers('capabilities', itsImage)})`,
      ),
    ],
    [
      'pod',
      `'drawbridge: pod "' + (has(object.metadata.name) ? object.metadata.name : has(object.metadata.generateName) ? object.metadata.generateName : '') + '" '`,
    ],
    [
      'breaks',
      `variables.pod + 'breaks profile ' + (variables.own + variables.upstream).join('+') + ' (safety net): '`,
    ],
  ]
}

/** Whether an entry `i` about an image denies it here and now. */
const DENIES_HERE = `variables.now < i.until && (has(i.namespaces) ? request.namespace in i.namespaces : !(has(i.except) && request.namespace in i.except))`

const EXCEPTION = `; exception: ${EXCEPTION_ANNOTATION}`

/** One for each thing that is held, in the words of a denial of the webhook (src/policy/denial.ts). */
const VALIDATIONS = [
  {
    expression: 'size(variables.denied) == 0',
    message: 'drawbridge: an image is denied by a verdict (safety net)',
    messageExpression: bind(
      'n',
      'variables.denied[0]',
      bind(
        'verdict',
        `[n.reference, n.reference.substring(n.reference.lastIndexOf('@') + 1)].filter(key, key in params.spec.images).map(key, params.spec.images[key].filter(i, ${DENIES_HERE})).filter(found, size(found) > 0)[0][0]`,
        `variables.pod + 'uses a flagged image (safety net): image "' + n.image + '" is denied: verdict ' + verdict.verdict + ' until ' + verdict.until + '; way out: deploy a fixed image with another digest; evidence: drawbridge verdicts show ' + verdict.verdict + ' --kubeconfig FILE; release: drawbridge verdicts release ' + verdict.verdict + ' --kubeconfig FILE --as fixed|false-positive|accepted --reason "..."'`,
      ),
    ),
  },
  {
    expression: 'size(variables.unreadable) == 0',
    message: 'drawbridge: an image is no complete reference (safety net)',
    messageExpression: `variables.pod + 'uses a flagged image (safety net): image "' + variables.unreadable[0].image + '" is denied: it is no complete image reference, so no verdict can be looked up for it; fix: write registry/repository:tag or registry/repository@sha256:<digest>'`,
  },
  {
    expression: 'size(variables.privileged) == 0',
    message: 'drawbridge: the pod is privileged (safety net)',
    messageExpression: `variables.breaks + 'privileged: container "' + variables.privileged[0].name + '": securityContext.privileged is true, must be false or not set; fix: remove it${EXCEPTION}'`,
  },
  {
    expression: 'size(variables.hostNamespaces) == 0',
    message: 'drawbridge: the pod uses host namespaces (safety net)',
    messageExpression: `variables.breaks + 'host namespaces (hostNamespaces): spec.' + variables.hostNamespaces[0] + ' is true, must be false or not set; fix: remove ' + variables.hostNamespaces[0] + '${EXCEPTION}'`,
  },
  {
    expression: 'size(variables.hostPath) == 0',
    message: 'drawbridge: the pod mounts paths of the node (safety net)',
    messageExpression: `variables.breaks + 'hostPath volumes (' + variables.checks.hostPath.join(', ') + '): volume "' + variables.hostPath[0].name + '" is a hostPath; fix: use another volume type, for example emptyDir${EXCEPTION}'`,
  },
  {
    expression: 'size(variables.capabilities) == 0',
    message: 'drawbridge: the pod adds capabilities (safety net)',
    messageExpression: `variables.breaks + 'capabilities (' + variables.checks.capabilities.join(', ') + '): container "' + variables.capabilities[0].name + '": securityContext.capabilities.add is ' + variables.capabilities[0].securityContext.capabilities.add.join(', ') + ', must be allowed ones only; fix: remove it from add${EXCEPTION}'`,
  },
] as const

/**
 * The objects of the net: ValidatingAdmissionPolicy and binding `drawbridge-safety-net`, and the same `drawbridge-safety-net-guard` that lets only
 * Drawbridge write the parameters.
 *
 * @throws Error when `user` can be no name of a user: it becomes part of an expression
 */
export function safetyNetObjects(options: SafetyNetOptions): readonly KubernetesObject[] {
  const { ownNamespace } = options
  const metadata = (name: string): KubernetesObject['metadata'] => ({
    name,
    labels: { 'app.kubernetes.io/name': 'drawbridge' },
  })
  return [
    {
      apiVersion: REGISTRATION,
      kind: 'ValidatingAdmissionPolicy',
      metadata: metadata(NAME),
      spec: {
        failurePolicy: 'Fail',
        paramKind: { apiVersion: `${GROUP}/${VERSION}`, kind: SAFETY_NET_KIND },
        matchConstraints: {
          matchPolicy: 'Equivalent',
          resourceRules: [
            { apiGroups: [''], apiVersions: ['*'], operations: ['CREATE', 'UPDATE'], resources: ['pods'] },
            { apiGroups: [''], apiVersions: ['*'], operations: ['UPDATE'], resources: ['pods/ephemeralcontainers'] },
          ],
        },
        matchConditions: [
          { name: 'significant-change', expression: "request.operation == 'CREATE' || object.spec != oldObject.spec" },
        ],
        variables: variablesOf(options).map(([name, expression]) => ({ name, expression })),
        validations: VALIDATIONS.map((validation) => ({ ...validation, reason: 'Forbidden' })),
      },
    },
    {
      apiVersion: REGISTRATION,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: metadata(NAME),
      spec: {
        policyName: NAME,
        validationActions: ['Deny'],
        // docs/decisions/0009-safety-net.md
        paramRef: { name: SAFETY_NET, parameterNotFoundAction: 'Allow' },
        matchResources: {
          // The API server's default, written down so that the object reads as it is kept.
          matchPolicy: 'Equivalent',
          namespaceSelector: {
            matchExpressions: [
              { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: excludedNamespaces(ownNamespace) },
              { key: LABEL.whenDown, operator: 'In', values: ['net'] },
            ],
          },
        },
      },
    },
    ...safetyNetGuardObjects(options),
  ]
}
