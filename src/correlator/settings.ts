/** From the words of `drawbridge.yaml` to the options of the correlator; the same for the server and for `replay`. */
import type { ClassifyOptions, RuleOverride } from '../alerts/classes.ts'
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
}

/** Rules, thresholds and reach for `createCorrelator`; `replay` leaves the reach out: it asks what images deserve, not what a person has to decide.
 * Throws an Error with one clear line for a pattern of protected images that is none. */
export function correlationOptions({ quarantine, rules }: CorrelationSettings): {
  readonly rules: ClassifyOptions
  readonly thresholds: Partial<Thresholds>
  readonly reach: ReachSettings
} {
  for (const text of quarantine.protected.images) {
    const { problem } = parseImagePattern(text)
    if (problem !== undefined) throw new Error(`quarantine.protected.images: ${JSON.stringify(text)} ${problem}`)
  }
  return {
    rules: { preset: quarantine.preset, overrides: new Map(Object.entries(rules)) },
    thresholds: { warnAt: quarantine.warnAt, denyAt: quarantine.denyAt, flagMs: quarantine.expireAfter },
    reach: { mode: quarantine.reach, protected: quarantine.protected, budget: quarantine.budget },
  }
}
