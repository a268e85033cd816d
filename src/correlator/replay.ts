/** Plays a capture of alerts through the same engine as the server, in the capture's own time. */
import { splitBody, type BodyLimits } from '../alerts/body.ts'
import type { ClassifyOptions } from '../alerts/classes.ts'
import type { Decoded, RefusalCode, RuntimeAlert } from '../alerts/types.ts'
import { createMemoryStore } from '../verdicts/memoryStore.ts'
import type { ParseReference } from '../verdicts/name.ts'
import { countedContributions, type Thresholds } from '../verdicts/phase.ts'
import { peakScore } from '../verdicts/score.ts'
import type { ImageVerdict, Phase } from '../verdicts/types.ts'
import { attributeByClaim } from './attribute.ts'
import { PLAUSIBLE_SINCE, verdictNameFor } from './contribute.ts'
import { createCorrelator } from './correlator.ts'
import type { Outcome } from './types.ts'

export interface ReplayOptions {
  readonly parseReference: ParseReference
  /** Milliseconds since the epoch: events later than this do not move the replay's clock. Default: no limit. */
  readonly now?: number | undefined
  readonly rules?: ClassifyOptions | undefined
  readonly thresholds?: Partial<Thresholds> | undefined
  readonly limits?: BodyLimits | undefined
}

/** What `drawbridge replay FILE -o json` prints. */
export interface ReplayReport {
  /** Lines that are not blank; of one array its elements, of objects over several lines the objects. */
  readonly lines: number
  /** Findings and telemetry: everything that a decoder understood. */
  readonly decoded: number
  /** `line` counts from 1, blank lines included. */
  readonly refused: readonly { readonly line: number; readonly code: RefusalCode }[]
  readonly images: readonly ReplayedImage[]
}

export interface ReplayedImage {
  /** Normalised reference; the digest where the alerts name no reference. */
  readonly image: string
  /** `null`: no alert told it. */
  readonly digest: string | null
  /** The highest score reached, one decimal. */
  readonly score: number
  readonly phase: Phase
  readonly reason: string
}

/** A capture, not a request: bounded by what fits into a string. As deep as audit events may be. */
const REPLAY_LIMITS: BodyLimits = { maxBytes: 500_000_000, maxItems: 10_000_000, maxDepth: 10_100 }

/**
 * Decodes and correlates `input` without a cluster and without a stored ledger. The clock is the newest event so far, so that an old capture gives what it gave
 * when it happened. Images whose alerts weigh nothing are listed too. Pure: same input, same report.
 */
export async function replay(
  input: string | Uint8Array,
  decode: (item: unknown) => Decoded,
  options: ReplayOptions,
): Promise<ReplayReport> {
  const latest = options.now ?? Infinity
  let clock = PLAUSIBLE_SINCE
  const correlator = createCorrelator({
    store: createMemoryStore(),
    clock: () => clock,
    parseReference: options.parseReference,
    rules: options.rules,
    thresholds: options.thresholds,
    // The report is about everything that happened.
    limits: { expiredMs: Infinity },
  })
  await correlator.start()

  const body = splitBody(typeof input === 'string' ? Buffer.from(input) : input, options.limits ?? REPLAY_LIMITS)
  const refused: { line: number; code: RefusalCode }[] = []
  const weightless = new Map<string, ReplayedImage>()
  let items = 0
  let decoded = 0
  let lastLine = 0
  let lines = 0
  for (const item of body.items) {
    items++
    if (item.line !== lastLine) lines++
    lastLine = item.line
    if ('refused' in item) {
      refused.push({ line: item.line, code: item.refused.code })
      continue
    }
    const result = decode(item.item)
    if (result.kind === 'refused') refused.push({ line: item.line, code: result.code })
    else decoded++
    if (result.kind !== 'finding') continue
    if (result.alert.time <= latest) clock = Math.max(clock, result.alert.time)
    const [outcome] = await correlator.handle([result.alert])
    if (outcome !== undefined) noteWeightless(weightless, outcome, options.parseReference)
  }
  await correlator.sweep()

  for (const { name } of correlator.list()) weightless.delete(name)
  const images = [...correlator.list().map(imageOf), ...weightless.values()]
  return {
    lines: body.shape === 'array' ? items : lines,
    decoded,
    refused,
    images: images.sort((left, right) => right.score - left.score || (left.image < right.image ? -1 : 1)),
  }
}

function imageOf(verdict: ImageVerdict): ReplayedImage {
  const [digest] = verdict.digests
  return {
    image: verdict.references[0] ?? digest ?? verdict.name,
    digest: digest ?? null,
    score: Math.round(peakScore(countedContributions(verdict)).score * 10) / 10,
    phase: verdict.phase,
    reason: verdict.reason,
  }
}

/** An image that only has alerts of weight 0 has no verdict, but the person who replays wants to see it. */
function noteWeightless(found: Map<string, ReplayedImage>, outcome: Outcome, parseReference: ParseReference): void {
  if (outcome.decision !== 'no-weight' && outcome.decision !== 'too-old') return
  const attribution = attributeByClaim(outcome.alert, parseReference)
  const name = attribution.kind === 'image' ? verdictNameFor(attribution.image, undefined) : undefined
  if (attribution.kind !== 'image' || name === undefined) return
  const { references, digests } = attribution.image
  const earlier = found.get(name)
  const digest = earlier?.digest ?? digests[0] ?? null
  const image = references[0] ?? digest ?? name
  found.set(name, {
    image,
    digest,
    score: 0,
    phase: 'observing',
    reason: earlier?.reason ?? weightlessReason(outcome.alert, outcome),
  })
}

function weightlessReason(alert: RuntimeAlert, outcome: Outcome): string {
  return `${outcome.decision}: ${alert.rule}: ${outcome.reason}`
}
