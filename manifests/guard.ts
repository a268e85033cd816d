/**
 * The guard of the opt-in (rule 7): a ValidatingAdmissionPolicy that the API server itself evaluates, with Drawbridge running or not.
 *
 * One question for each honoured label: may this change be made by whoever may change the namespace? Only what certainly asks for no less than
 * before is free; what cannot be compared (an AdmissionProfile, another version, a removal) needs the RBAC verb `weaken`.
 */
import { GROUP, LABEL, POD_SECURITY_LABEL } from '../src/kube/names.ts'

/** Built-in profiles, weakest first, as the CEL map of their ranks. */
const PROFILE_RANKS = "{'privileged': 0, 'baseline': 1, 'standard': 2, 'restricted': 3}"
/** Under upstream's labels `standard` is a mistake, and asks for restricted:latest. */
const POD_SECURITY_RANKS = "{'privileged': 0, 'baseline': 1, 'restricted': 3}"
const QUARANTINE_RANKS = "{'off': 0, 'warn': 1, 'enforce': 2}"

/** As src/policy/namespace.ts reads them. What cannot be resolved is never free: to correct it would need the verb. */
const VERSION = '^(latest|v1[.](0|[1-9][0-9]{0,3}))$'
const SECCOMP = '^(RuntimeDefault|localhost[.]([A-Za-z0-9_-]+[.])*[A-Za-z0-9_-]+)$'

/** Stands for an absent label. No label has this value: label values hold no brackets. */
const ABSENT = "'(not set)'"

/** The RBAC verb, and the ClusterRole that grants it for every profile. */
export const WEAKEN = 'weaken'
export const WEAKENER_ROLE = 'drawbridge-namespace-weakener'

/** Namespaces that every cluster makes by itself, without labels. */
const SYSTEM_NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system'] as const

const REGISTRATION = 'admissionregistration.k8s.io/v1'

export interface GuardOptions {
  /** The namespace that Drawbridge runs in; `requireLabels` asks nothing of it. */
  readonly ownNamespace: string
  /** Guard the `pod-security.kubernetes.io/*` labels too. Give what `podSecurityLabels` of drawbridge.yaml says. Default false. */
  readonly podSecurityLabels?: boolean | undefined
  /** New namespaces must have an `enforce` label, except these (and those of the cluster itself). Default: no such rule. */
  readonly requireLabels?: { readonly except: readonly string[] } | undefined
}

export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  readonly [field: string]: unknown
}

const was = (label: string): string => `variables.was['${label}']`
const is = (label: string): string => `variables.is['${label}']`
const absentBefore = (label: string): string => `${was(label)} == ${ABSENT}`
const isSet = (label: string): string => `${is(label)} != ${ABSENT}`
/** `latest` is what an absent version means. */
const version = (value: string): string => `(${value} == ${ABSENT} ? 'latest' : ${value})`
const sameVersion = (label: string): string => `${version(was(label))} == ${version(is(label))}`

/** From one built-in profile to a stricter one, both read at the same version. */
const isRaised = (label: string): string => {
  const rank = label.startsWith(`${GROUP}/`) ? 'variables.rank' : 'variables.podSecurityRank'
  return [
    `${was(label)} in ${rank} && ${is(label)} in ${rank}`,
    `${rank}[${is(label)}] > ${rank}[${was(label)}]`,
    sameVersion(`${label}-version`),
    // Before 1.23 upstream's restricted asks for less than standard: nothing of user ids, and before 1.19 nothing of seccomp.
    `!(${was(label)} == 'standard' && ${is(label)} == 'restricted' && ${version(is(`${label}-version`))}.matches('^v1[.](1?[0-9]|2[0-2])$'))`,
  ].join(' && ')
}

/** `warn` and `audit` deny nothing: any value is more than none. */
const freeAdvice = (label: string): string => `(${absentBefore(label)} && ${isSet(label)}) || (${isRaised(label)})`

/**
 * `privileged` asks for nothing, and must not look like an opt-in; a name that nobody knows asks for restricted:latest. Beside the other kind of
 * `enforce` label nothing else is to be asked: what one label asks for, the other never takes back.
 */
const freeEnforce = (label: string): string =>
  `(${absentBefore(label)} && ${isSet(label)} && ${is(label)} != 'privileged') || (${isRaised(label)})`

/** A newer version is not always the stricter one, so none is free. Where nothing was at that version, nothing becomes weaker. */
const freeVersion = (label: string): string =>
  `${is(`${label}-version`)}.matches('${VERSION}') && (${absentBefore(label)} || ${sameVersion(`${label}-version`)})`

/** What is injected where the label is absent: RuntimeDefault by a built-in profile, what an AdmissionProfile says, else nothing. */
const SECCOMP_BEFORE = [
  `${was(LABEL.seccomp)} != ${ABSENT} ? ${was(LABEL.seccomp)} :`,
  `${absentBefore(LABEL.enforce)} ? 'off' :`,
  `${was(LABEL.enforce)} in variables.rank ? 'RuntimeDefault' : '(of the profile)'`,
].join('\n')

/** Every honoured label and the CEL expression that says when its change is free. */
function freeChanges(podSecurityLabels: boolean): readonly (readonly [string, string])[] {
  const own = [
    [LABEL.enforce, freeEnforce(LABEL.enforce)],
    [LABEL.enforceVersion, freeVersion(LABEL.enforce)],
    [LABEL.warn, freeAdvice(LABEL.warn)],
    [LABEL.warnVersion, freeVersion(LABEL.warn)],
    [LABEL.audit, freeAdvice(LABEL.audit)],
    [LABEL.auditVersion, freeVersion(LABEL.audit)],
    [
      LABEL.seccomp,
      `${is(LABEL.seccomp)}.matches('${SECCOMP}') && (variables.seccompBefore == 'off' || variables.seccompBefore == ${is(LABEL.seccomp)})`,
    ],
    [
      LABEL.quarantine,
      `(${absentBefore(LABEL.quarantine)} ? ${is(LABEL.quarantine)} == 'enforce' : ` +
        `${was(LABEL.quarantine)} in variables.quarantineRank && ${is(LABEL.quarantine)} in variables.quarantineRank && ` +
        `variables.quarantineRank[${is(LABEL.quarantine)}] > variables.quarantineRank[${was(LABEL.quarantine)}])`,
    ],
    [LABEL.whenDown, `${is(LABEL.whenDown)} == 'deny'`],
  ] as const
  if (!podSecurityLabels) return own
  const { enforce, warn, audit } = POD_SECURITY_LABEL
  return [
    ...own,
    [enforce, freeEnforce(enforce)],
    [`${enforce}-version`, freeVersion(enforce)],
    [warn, freeAdvice(warn)],
    [`${warn}-version`, freeVersion(warn)],
    [audit, freeAdvice(audit)],
    [`${audit}-version`, freeVersion(audit)],
  ]
}

const entries = (pairs: readonly (readonly [string, string])[]): string =>
  `{\n${pairs.map(([label, expression]) => `  '${label}': ${expression}`).join(',\n')}\n}`

/** Whether the requester may weaken the profile of this name; '' stands for every profile, which a rule with resourceNames does not grant. */
const mayWeaken = (name: string): string =>
  `authorizer.group('${GROUP}').resource('admissionprofiles').name(${name}).check('${WEAKEN}').allowed()`

const text = (list: readonly string[]): string => `[${list.map((name) => `'${name}'`).join(', ')}]`

/**
 * The objects of the guard: ValidatingAdmissionPolicy and binding `drawbridge-guard` for namespaces and `drawbridge-profile-guard` for
 * AdmissionProfiles, and the ClusterRole for people who may weaken.
 *
 * @throws Error when a name of `requireLabels.except` is no namespace name: it would become part of an expression
 */
export function guardObjects(options: GuardOptions): readonly KubernetesObject[] {
  const { podSecurityLabels = false, requireLabels, ownNamespace } = options
  const free = freeChanges(podSecurityLabels)
  const honoured = free.map(([label]) => label)
  const enforceLabels = [LABEL.enforce, ...(podSecurityLabels ? [POD_SECURITY_LABEL.enforce] : [])]
  const values = (labels: string): string =>
    entries(honoured.map((label) => [label, `'${label}' in ${labels} ? ${labels}['${label}'] : ${ABSENT}`]))

  const variables = [
    ['before', 'oldObject != null && has(oldObject.metadata.labels) ? oldObject.metadata.labels : {}'],
    ['after', 'has(object.metadata.labels) ? object.metadata.labels : {}'],
    ['was', values('variables.before')],
    ['is', values('variables.after')],
    ['rank', PROFILE_RANKS],
    ...(podSecurityLabels ? [['podSecurityRank', POD_SECURITY_RANKS] as const] : []),
    ['quarantineRank', QUARANTINE_RANKS],
    ['seccompBefore', SECCOMP_BEFORE],
    ['free', entries(free)],
    [
      'weakened',
      `${text(honoured)}\n.filter(label, variables.was[label] != variables.is[label] && !variables.free[label])`,
    ],
    // The profiles that are being left; where there was none, the verb is needed for every profile. One authorization check costs 350,000 of
    // the 1,000,000 that one expression may spend, hence a variable for each.
    ['profiles', `${text(enforceLabels)}.map(label, variables.was[label]).filter(name, name != ${ABSENT})`],
    ['mayWeakenAll', mayWeaken("''")],
    ...enforceLabels.map(
      (label, index) => [`mayWeakenProfile${index}`, `${absentBefore(label)} || ${mayWeaken(was(label))}`] as const,
    ),
    [
      'mayWeaken',
      `variables.mayWeakenAll || (${['size(variables.profiles) > 0', ...enforceLabels.map((_, index) => `variables.mayWeakenProfile${index}`)].join(' && ')})`,
    ],
  ] as const

  const needs = (what: string, names: string): string =>
    `'this needs the RBAC verb "${WEAKEN}" on admissionprofiles.${GROUP} ' + ${names} + ': ask a cluster administrator to make the change or to bind you to the ClusterRole ${WEAKENER_ROLE}.${what}'`
  const validations = [
    {
      expression: 'size(variables.weakened) == 0 || variables.mayWeaken',
      message: `drawbridge: this change of the namespace's labels needs the RBAC verb "${WEAKEN}" on admissionprofiles.${GROUP}`,
      messageExpression: [
        `'drawbridge: namespace "' + object.metadata.name + '" may ask for less after this change: '`,
        "variables.weakened.map(label, label + ' from ' + variables.was[label] + ' to ' + variables.is[label]).join(', ') + '; '",
        needs(
          ' Free to everybody who may change the namespace: a first enforce, warn or audit label, and privileged to baseline to standard to restricted at the same version.',
          `(size(variables.profiles) == 0 ? '(all of them)' : '"' + variables.profiles.join('", "') + '"')`,
        ),
      ].join(' +\n'),
      reason: 'Forbidden',
    },
    ...(requireLabels === undefined
      ? []
      : [requireLabelsValidation(requireLabels.except, ownNamespace, enforceLabels, needs)]),
  ]

  const metadata = (name: string): KubernetesObject['metadata'] => ({
    name,
    labels: { 'app.kubernetes.io/name': 'drawbridge' },
  })
  return [
    {
      apiVersion: REGISTRATION,
      kind: 'ValidatingAdmissionPolicy',
      metadata: metadata('drawbridge-guard'),
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          matchPolicy: 'Equivalent',
          resourceRules: [
            {
              apiGroups: [''],
              apiVersions: ['*'],
              operations: ['CREATE', 'UPDATE'],
              // The subresources can carry labels too.
              resources: ['namespaces', 'namespaces/status', 'namespaces/finalize'],
            },
          ],
        },
        variables: variables.map(([name, expression]) => ({ name, expression })),
        validations,
      },
    },
    {
      apiVersion: REGISTRATION,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: metadata('drawbridge-guard'),
      spec: { policyName: 'drawbridge-guard', validationActions: ['Deny'] },
    },
    ...profileGuardObjects(metadata),
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: metadata(WEAKENER_ROLE),
      // With resourceNames: only in namespaces that enforce one of these profiles.
      rules: [{ apiGroups: [GROUP], resources: ['admissionprofiles'], verbs: [WEAKEN] }],
    },
  ]
}

/**
 * What a profile says is what its namespaces ask for, and two specs cannot be compared: to change one is to leave it. Making one is free, as a
 * first `enforce` label is; one in use cannot be deleted (webhooks/profiles.ts).
 */
function profileGuardObjects(metadata: (name: string) => KubernetesObject['metadata']): readonly KubernetesObject[] {
  const name = 'drawbridge-profile-guard'
  return [
    {
      apiVersion: REGISTRATION,
      kind: 'ValidatingAdmissionPolicy',
      metadata: metadata(name),
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          matchPolicy: 'Equivalent',
          resourceRules: [
            { apiGroups: [GROUP], apiVersions: ['*'], operations: ['UPDATE'], resources: ['admissionprofiles'] },
          ],
        },
        validations: [
          {
            expression: `object.spec == oldObject.spec || ${mayWeaken('object.metadata.name')}`,
            messageExpression: [
              `'drawbridge: to change what AdmissionProfile "' + object.metadata.name + '" says needs the RBAC verb "${WEAKEN}" on it, as its namespaces may ask for less then: '`,
              `'ask a cluster administrator to make the change or to bind you to the ClusterRole ${WEAKENER_ROLE}.'`,
            ].join(' +\n'),
            reason: 'Forbidden',
          },
        ],
      },
    },
    {
      apiVersion: REGISTRATION,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: metadata(name),
      spec: { policyName: name, validationActions: ['Deny'] },
    },
  ]
}

function requireLabelsValidation(
  except: readonly string[],
  ownNamespace: string,
  enforceLabels: readonly string[],
  needs: (what: string, names: string) => string,
): Readonly<Record<string, string>> {
  const names = [...new Set([...SYSTEM_NAMESPACES, ownNamespace, ...except])].sort()
  for (const name of names) {
    if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) throw new Error(`"${name}" is not the name of a namespace`)
  }
  // A label that is there cannot be removed without the verb either, so only new namespaces are asked.
  return {
    expression: `request.operation != 'CREATE' || object.metadata.name in ${text(names)} || ${text(enforceLabels)}.exists(label, variables.is[label] != ${ABSENT}) || variables.mayWeaken`,
    messageExpression: [
      `'drawbridge: namespace "' + object.metadata.name + '" has no ${LABEL.enforce} label, and every new namespace must have one, for example ${LABEL.enforce}=standard; without it, '`,
      needs('', "'(all of them)'"),
    ].join(' +\n'),
    reason: 'Forbidden',
  }
}
