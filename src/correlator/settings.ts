/** From the words of `drawbridge.yaml` to the options of the correlator; the same for the server and for `replay`. */
import type { ClassifyOptions, RuleOverride } from '../alerts/classes.ts'
import { compileOverrides, type RuleOverrideEntry } from '../alerts/overrides.ts'
import type { Thresholds } from '../verdicts/phase.ts'

/** The parts of the configuration that decide verdicts. Durations in milliseconds. */
export interface CorrelationSettings {
  readonly quarantine: {
    readonly preset: 'standard' | 'strict'
    readonly warnAt: number
    readonly denyAt: number
    readonly expireAfter: number
  }
  readonly rules: Readonly<Record<string, RuleOverride>>
  readonly ruleOverrides: readonly RuleOverrideEntry[]
}

/** What is wrong with `ruleOverrides`, one line each; empty: nothing. */
export function settingsProblems({ ruleOverrides }: Pick<CorrelationSettings, 'ruleOverrides'>): readonly string[] {
  return compileOverrides(ruleOverrides).problems
}

/** Rules and thresholds for `createCorrelator` and `replay`. Entries with problems (see settingsProblems) match nothing. */
export function correlationOptions({ quarantine, rules, ruleOverrides }: CorrelationSettings): {
  readonly rules: ClassifyOptions
  readonly thresholds: Partial<Thresholds>
} {
  return {
    rules: {
      preset: quarantine.preset,
      overrides: new Map(Object.entries(rules)),
      conditional: compileOverrides(ruleOverrides).overrides,
    },
    thresholds: { warnAt: quarantine.warnAt, denyAt: quarantine.denyAt, flagMs: quarantine.expireAfter },
  }
}
