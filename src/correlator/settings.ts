/** From the words of `drawbridge.yaml` to the options of the correlator; the same for the server and for `replay`. */
import type { ClassifyOptions, RuleOverride } from '../alerts/classes.ts'
import { compileOverrides, type RuleOverrideEntry } from '../alerts/overrides.ts'
import { parseImagePattern } from '../kube/imagePattern.ts'
import type { Thresholds } from '../verdicts/phase.ts'
import type { ReachSettings } from './api.ts'

/** The parts of the configuration that decide verdicts. Durations in milliseconds. */
export interface CorrelationSettings {
  readonly quarantine: {
    readonly preset: 'standard' | 'strict'
    readonly warnAt: number
    readonly denyAt: number
    readonly expireAfter: number
    readonly reach: ReachSettings['mode']
    readonly protected: ReachSettings['protected']
    readonly budget: ReachSettings['budget']
  }
  readonly rules: Readonly<Record<string, RuleOverride>>
  readonly ruleOverrides: readonly RuleOverrideEntry[]
}

/** What the configuration's own schema cannot say, because it knows no domain; one line each, empty: nothing is wrong. */
export function settingsProblems({
  quarantine,
  ruleOverrides,
}: Pick<CorrelationSettings, 'quarantine' | 'ruleOverrides'>): readonly string[] {
  const patterns = quarantine.protected.images.flatMap((text) => {
    const { problem } = parseImagePattern(text)
    return problem === undefined ? [] : [`quarantine.protected.images: ${JSON.stringify(text)} ${problem}`]
  })
  return [...patterns, ...compileOverrides(ruleOverrides).problems]
}

/**
 * Rules, thresholds and reach for `createCorrelator`; `replay` leaves the reach out: it asks what images deserve, not what a person has to decide.
 * Entries with problems (see settingsProblems) match nothing.
 */
export function correlationOptions({ quarantine, rules, ruleOverrides }: CorrelationSettings): {
  readonly rules: ClassifyOptions
  readonly thresholds: Partial<Thresholds>
  readonly reach: ReachSettings
} {
  return {
    rules: {
      preset: quarantine.preset,
      overrides: new Map(Object.entries(rules)),
      conditional: compileOverrides(ruleOverrides).overrides,
    },
    thresholds: { warnAt: quarantine.warnAt, denyAt: quarantine.denyAt, flagMs: quarantine.expireAfter },
    reach: { mode: quarantine.reach, protected: quarantine.protected, budget: quarantine.budget },
  }
}
