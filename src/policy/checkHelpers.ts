import { visitContainers } from '../kube/containers.ts'
import type { Container, PodSpec, SeccompProfile } from '../kube/types.ts'
import type { Violation } from './types.ts'

/** The texts that all violations of one rule share. `required` and `fix` are short: a violation must fit into a warning. */
export type Rule = Pick<Violation, 'check' | 'reason' | 'required' | 'fix'>

/** Where a rule is broken and what was found there; a `required` or `fix` of its own says more than the rule's. */
export type Finding = Pick<Violation, 'path' | 'found'> & Partial<Pick<Violation, 'required' | 'fix'>>

/** What a check says it found where a field is absent. */
export const NOT_SET = 'not set'

/** What nearly every check finds: one list for all. */
const NOTHING: readonly Violation[] = Object.freeze([])

/** Violations of the pod as a whole. */
export const inPod = (rule: Rule, findings: readonly Finding[]): readonly Violation[] =>
  findings.length === 0 ? NOTHING : findings.map((finding) => ({ ...rule, ...finding }))

/** One violation for each container (of every kind) where `find` finds something; `path` is the container's. */
export const inContainers = (
  rule: Rule,
  spec: PodSpec,
  find: (container: Container, path: string) => Finding | undefined,
): readonly Violation[] => {
  let violations: Violation[] | undefined
  visitContainers(spec, (container, path) => {
    const finding = find(container, path)
    if (finding) (violations ??= []).push({ ...rule, ...finding, container: container.name })
  })
  return violations ?? NOTHING
}

/** Values as a person reads them: sorted, each once. */
export const joinValues = (values: readonly string[]): string => [...new Set(values)].sort().join(', ')

/** Since 1.25 a pod that says it is for Windows need not set what only Linux has: the API server refuses it there. */
export const isWindowsPod = (spec: PodSpec): boolean => spec.os?.name === 'windows'

/** In a user namespace root in the container is nobody on the node; only an explicit `hostUsers: false` asks for one. */
export const hasUserNamespace = (spec: PodSpec): boolean => spec.hostUsers === false

/**
 * Whether a seccomp profile really filters: `RuntimeDefault`, or `Localhost` with a file.
 * `Localhost` without one ran unconfined (CVE-2023-2431); the API server refuses it today, files and hand-sent reviews may hold it.
 */
export const isConfined = (profile: SeccompProfile): boolean =>
  profile.type === 'RuntimeDefault' || (profile.type === 'Localhost' && Boolean(profile.localhostProfile))

/** A seccomp profile in words, for `found`. */
export const describeSeccomp = (profile: SeccompProfile): string => {
  if (profile.type === 'Localhost' && !profile.localhostProfile) return 'Localhost without localhostProfile'
  return profile.type || NOT_SET
}
