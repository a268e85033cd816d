/**
 * Overrides by condition: rule, tag, MITRE technique, source, namespace, image (`ruleOverrides` in drawbridge.yaml). Namespace and image are those that
 * the alert was attributed to, never its claims.
 */
import { matchImage, parseImagePattern, type ImagePattern } from '../kube/imagePattern.ts'
import { parseReference } from '../kube/reference.ts'
import type { RuleOverride } from './classes.ts'
import type { RuntimeAlert } from './types.ts'

/** All that are given must hold; each holds where one of its values does. At least one is given. */
export interface OverrideMatch {
  /** Names as the sensor writes them. */
  readonly rules?: readonly string[] | undefined
  readonly tags?: readonly string[] | undefined
  /** `T1059` is also every sub-technique of it, `T1059.004` for example. */
  readonly techniques?: readonly string[] | undefined
  /** Endpoints (`falcosidekick`) or detectors (`falco`, whatever the road). */
  readonly sources?: readonly string[] | undefined
  /** Exact names. */
  readonly namespaces?: readonly string[] | undefined
  /** Anchored patterns as in imagePattern.ts; one without tag and digest means every version. */
  readonly images?: readonly string[] | undefined
}

/** One entry of `ruleOverrides`. */
export type RuleOverrideEntry = RuleOverride & { readonly match: OverrideMatch }

/** What a condition reads of an alert. */
export type MatchedAlert = Pick<RuntimeAlert, 'detector' | 'rule' | 'techniques'> &
  Partial<Pick<RuntimeAlert, 'source' | 'tags'>>

/** Whose alert it is. */
export interface AttributedImage {
  readonly namespace?: string | undefined
  /** Normalised. */
  readonly references: readonly string[]
  readonly digests: readonly string[]
}

/** An entry, compiled. */
export interface ConditionalOverride {
  readonly override: RuleOverride
  /** Without namespace and image. */
  readonly matchesAlert: (alert: MatchedAlert) => boolean
  readonly matchesImage: (attributed: AttributedImage | undefined) => boolean
}

/** Compiles entries; `problems` has one line for each pattern that is none, beginning with where it is: `ruleOverrides.0.match.images.0: ...`. */
export function compileOverrides(entries: readonly RuleOverrideEntry[]): {
  readonly overrides: readonly ConditionalOverride[]
  readonly problems: readonly string[]
} {
  const problems: string[] = []
  const overrides = entries.map(({ match, class: name, subject, weight }, index) => {
    const patterns = match.images?.flatMap((text, position) => {
      const { pattern, problem } = parseImagePattern(text)
      if (pattern !== undefined) return [pattern]
      problems.push(`ruleOverrides.${index}.match.images.${position}: ${problem}`)
      return []
    })
    const override: RuleOverride = {
      ...(name === undefined ? {} : { class: name }),
      ...(subject === undefined ? {} : { subject }),
      ...(weight === undefined ? {} : { weight }),
    }
    return { override, matchesAlert: alertMatcher(match), matchesImage: imageMatcher(match.namespaces, patterns) }
  })
  return { overrides, problems }
}

/** The first that matches. Linear in the number of entries, which the configuration bounds. */
export function findOverride(
  overrides: readonly ConditionalOverride[],
  alert: MatchedAlert,
  attributed: AttributedImage | undefined,
): RuleOverride | undefined {
  return overrides.find((entry) => entry.matchesAlert(alert) && entry.matchesImage(attributed))?.override
}

function alertMatcher({ rules, tags, techniques, sources }: OverrideMatch): (alert: MatchedAlert) => boolean {
  const ruleSet = setOf(rules)
  const tagSet = setOf(tags)
  const techniqueSet = setOf(techniques)
  const sourceSet = setOf(sources)
  return (alert) =>
    (ruleSet === undefined || ruleSet.has(alert.rule)) &&
    (sourceSet === undefined || sourceSet.has(alert.detector) || sourceSet.has(alert.source ?? '')) &&
    (tagSet === undefined || (alert.tags ?? []).some((tag) => tagSet.has(tag))) &&
    (techniqueSet === undefined ||
      [...(alert.techniques ?? []), ...(alert.tags ?? [])].some(
        (technique) => techniqueSet.has(technique) || techniqueSet.has(technique.split('.', 1)[0] ?? ''),
      ))
}

function imageMatcher(
  namespaces: readonly string[] | undefined,
  patterns: readonly ImagePattern[] | undefined,
): (attributed: AttributedImage | undefined) => boolean {
  const namespaceSet = setOf(namespaces)
  if (namespaceSet === undefined && patterns === undefined) return () => true
  return (attributed) => {
    if (attributed === undefined) return false
    if (namespaceSet !== undefined && !namespaceSet.has(attributed.namespace ?? '')) return false
    return patterns === undefined || patterns.some((pattern) => isImage(pattern, attributed))
  }
}

/** A digest in a pattern is one of the image's; a tag is the one in the image's name. */
function isImage(pattern: ImagePattern, { references, digests }: AttributedImage): boolean {
  return references.some((text) => {
    const reference = parseReference(text)
    if (reference === undefined) return false
    const known = pattern.digest !== undefined && digests.includes(pattern.digest)
    const match = matchImage(pattern, known ? { ...reference, digest: pattern.digest } : reference)
    return match === 'matches' || match === 'pattern-without-tag'
  })
}

function setOf(values: readonly string[] | undefined): ReadonlySet<string> | undefined {
  return values === undefined ? undefined : new Set(values)
}
