/** Which denials wait for a person (rule 18): the cost of a false one would be too high, or too many came at once. */
import { matchImage, parseImagePattern } from '../kube/imagePattern.ts'
import { parseReference } from '../kube/reference.ts'
import type { Hold, NewDenial, UsesOf } from '../verdicts/reach.ts'
import type { Budget } from './budget.ts'

/** A denial that would hit more owner workloads than this waits. */
export const MAX_WORKLOADS = 10

export interface Protected {
  /** Patterns as AdmissionException has them: `registry.example/base/*`; without a tag every tag and digest. */
  readonly images: readonly string[]
  readonly namespaces: readonly string[]
}

export interface HoldOptions {
  readonly protected: Protected
  readonly budget: Budget
  /** Absent: standalone. */
  readonly usesOf?: UsesOf | undefined
}

/** The `hold` of ReachRules. Patterns that cannot be read protect nothing: configuration is checked where it is read. */
export function createHold(options: HoldOptions): (denial: NewDenial) => Hold | undefined {
  const patterns = options.protected.images.flatMap((text) => parseImagePattern(text).pattern ?? [])
  const namespaces = new Set(options.protected.namespaces)

  const isProtectedImage = ({ digests, references }: NewDenial): boolean =>
    patterns.some(
      (pattern) =>
        (pattern.digest !== undefined && digests.includes(pattern.digest)) ||
        references.some((text) => {
          const reference = parseReference(text)
          // Where the pattern names a tag and the pod a digest nobody can say that it is another image.
          return reference !== undefined && matchImage(pattern, reference) !== 'other-image'
        }),
    )

  return (denial) => {
    const { namespace, evidence } = denial
    const uses = (options.usesOf?.(denial) ?? []).filter(
      (use) => namespace === undefined || use.namespace === namespace,
    )
    if (isProtectedImage(denial)) return { code: 'pending-protected', text: 'the image is protected' }
    if ([...evidence, ...uses.map((use) => use.namespace)].some((name) => namespaces.has(name)))
      return { code: 'pending-protected', text: 'it runs in a protected namespace' }
    if (uses.some((use) => use.critical || use.owner.split('/')[1] === 'DaemonSet'))
      return { code: 'pending-critical', text: 'a DaemonSet or a pod of a system-critical priority class runs it' }
    if (uses.length > MAX_WORKLOADS)
      return { code: 'pending-many-workloads', text: `more than ${MAX_WORKLOADS} workloads run it` }
    if (!options.budget.take(denial.name, evidence, denial.now))
      return { code: 'pending-budget', text: 'too many images were denied in the last hour' }
    return undefined
  }
}
