/** Which labels are used, which mean nothing, and who asks for nothing? */
import { misspeltLabels } from '../../cli/misspelt.ts'
import { GROUP, LABEL, VERSION } from '../../kube/names.ts'
import { loadProfile } from '../../policy/compileProfile.ts'
import type { CompiledProfile } from '../../policy/compileProfile.ts'
import { formatProfile, isOptedIn, resolveNamespace } from '../../policy/namespace.ts'
import { at, count, nameIn, ok, problem, some, unknown, warning, word } from '../text.ts'
import type { Check, Finding, Installation } from '../types.ts'

type Labels = Readonly<Record<string, string>>
const LABELS: readonly string[] = Object.values(LABEL)
const MOST = 10

interface Namespace {
  readonly name: string
  readonly labels: Labels
}

/** Every usable AdmissionProfile, and what is wrong with the others. */
export async function profilesOf({ reader }: Installation): Promise<{
  readonly found: ReadonlyMap<string, CompiledProfile>
  readonly findings: readonly Finding[]
}> {
  const found = new Map<string, CompiledProfile>()
  const list = await reader.list(`/apis/${GROUP}/${VERSION}/admissionprofiles`)
  if (list.kind === 'unreadable') return { found, findings: [unknown(`AdmissionProfile objects: ${list.why}`)] }
  const findings: Finding[] = []
  for (const object of list.kind === 'found' ? list.items : []) {
    const { profile, problems = [] } = loadProfile(object)
    if (profile !== undefined) found.set(profile.name, profile)
    else
      findings.push(
        problem(
          `AdmissionProfile ${nameIn(object)} cannot be used: ${problems.join('; ')}`,
          `kubectl edit admissionprofile ${word(nameIn(object))}`,
        ),
      )
  }
  return { found, findings }
}

/**
 * A label of ours with a letter wrong: whoever wrote it believes that it holds. Only its removal is advised: it needs none of the rights that the label
 * which was meant needs, so its value must not be set by whoever follows this advice.
 */
const misspelt = ({ name, labels }: Namespace): readonly Finding[] =>
  Object.keys(labels).flatMap((key) =>
    misspeltLabels([key]).map((said) =>
      problem(`namespace ${name}: ${said}`, `kubectl label namespace ${word(name)} ${word(key)}-`),
    ),
  )

export const namespaces: Check = {
  id: 'namespaces',
  async run(installation) {
    const { reader, namespace: own, podSecurityLabels } = installation
    const list = await reader.list('/api/v1/namespaces')
    if (list.kind !== 'found')
      return [unknown(`labels of namespaces: ${list.kind === 'absent' ? 'not told' : list.why}`)]
    const { found: profiles, findings: ofProfiles } = await profilesOf(installation)
    const all: readonly Namespace[] = list.items.map((item) => ({
      name: nameIn(item),
      labels: (at(item, 'metadata', 'labels') ?? {}) as Labels,
    }))
    const resolved = all.map((namespace) => ({
      ...namespace,
      policy: resolveNamespace(namespace.labels, { podSecurityLabels, profiles: (name) => profiles.get(name) }),
    }))
    const neverSent = resolved.filter(
      ({ name, labels }) => (name === 'kube-system' || name === own) && LABELS.some((label) => label in labels),
    )
    const asking = resolved.filter(({ name, policy }) => name !== 'kube-system' && name !== own && isOptedIn(policy))
    const unresolved = asking.filter(({ policy }) => policy.problems.length > 0)
    const off = resolved.filter(({ labels }) => labels[LABEL.quarantine] === 'off').map(({ name }) => name)
    const enforcing = new Map<string, number>()
    for (const { policy, labels } of asking)
      if (policy.enforce !== undefined && LABEL.enforce in labels)
        enforcing.set(formatProfile(policy.enforce), (enforcing.get(formatProfile(policy.enforce)) ?? 0) + 1)
    const used = [...enforcing].sort(([, a], [, b]) => b - a).map(([profile, times]) => `${profile} ${times}`)
    const wrong = all.flatMap(misspelt)
    return [
      ...wrong.slice(0, MOST),
      ...(wrong.length > MOST
        ? [problem(`${wrong.length - MOST} more misspelt labels`, 'drawbridge doctor says the next ones then')]
        : []),
      ...unresolved
        .slice(0, MOST)
        .flatMap(({ name, policy }) =>
          policy.problems.map((line) =>
            problem(
              `namespace ${name}: ${line}`,
              `correct the label: kubectl get namespace ${word(name)} --show-labels; profiles: kubectl get admissionprofiles`,
            ),
          ),
        ),
      ...ofProfiles,
      ...neverSent.map(({ name, labels }) =>
        warning(
          `namespace ${name} is labelled in vain: it is never sent to Drawbridge`,
          `kubectl label namespace ${word(name)} ${LABELS.filter((label) => label in labels)
            .map((label) => `${label}-`)
            .join(' ')}`,
        ),
      ),
      ...(off.length > 0
        ? [
            warning(
              `flagged images are not denied in ${some(off)} (${LABEL.quarantine}=off)`,
              `kubectl label --overwrite namespace ${word(off[0]!)} ${LABEL.quarantine}=enforce`,
            ),
          ]
        : []),
      asking.length === 0
        ? warning(
            'no namespace has opted in: nothing is checked',
            `kubectl label namespace NAME ${LABEL.warn}=standard`,
          )
        : ok(
            `${count(asking.length, 'namespace')} of ${all.length} opted in${used.length === 0 ? '' : `; enforced: ${some(used)}`}`,
          ),
    ]
  },
}
