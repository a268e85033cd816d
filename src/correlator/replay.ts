/** Plays a capture of alerts through the same engine as the server, in the capture's own time. */
import { splitBody, type BodyLimits } from '../alerts/body.ts'
import type { ClassifyOptions } from '../alerts/classes.ts'
import type { Decoded, RefusalCode, RuntimeAlert } from '../alerts/types.ts'
import { createMemoryStore } from '../verdicts/memoryStore.ts'
import type { ParseReference } from '../verdicts/name.ts'
import { countedContributions, THRESHOLDS, type Thresholds } from '../verdicts/phase.ts'
import { peakScore } from '../verdicts/score.ts'
import type { ImageVerdict, Phase } from '../verdicts/types.ts'
import { attributeByClaim, type ImageIdentity } from './attribute.ts'
import { captureParts } from './captureParts.ts'
import { countedTime, PLAUSIBLE_SINCE, verdictNameFor } from './contribute.ts'
import { createCorrelator } from './correlator.ts'
import { createExplainer, type Explainer, type Explanation } from './explain.ts'
import type { Outcome } from './types.ts'

export interface ReplayOptions {
  readonly parseReference: ParseReference
  /** Milliseconds since the epoch: events later than this do not move the replay's clock. Default: no limit. */
  readonly now?: number | undefined
  readonly rules?: ClassifyOptions | undefined
  readonly thresholds?: Partial<Thresholds> | undefined
  readonly limits?: BodyLimits | undefined
  /** Say of each image why its score is what it is. */
  readonly explain?: boolean | undefined
  /** Called now and then while a large capture is read. */
  readonly onProgress?: ((read: { readonly bytes: number; readonly decoded: number }) => void) | undefined
}

/** What `drawbridge replay FILE -o json` prints. */
export interface ReplayReport {
  /** Lines that are not blank; of one array its elements, of objects over several lines the objects. */
  readonly lines: number
  /** Findings and telemetry: everything that a decoder understood. */
  readonly decoded: number
  /** `line` counts from 1, blank lines included. */
  readonly refused: readonly { readonly line: number; readonly code: RefusalCode }[]
  /** Refusals beyond the first 10,000, which are not listed; absent: none. */
  readonly refusedUnlisted?: number | undefined
  readonly images: readonly ReplayedImage[]
  /** With `explain`: alerts for which no image was found, and host processes. */
  readonly withoutImage?: Explanation | undefined
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
  /** With `explain`, for the first 5,000 images. */
  readonly explanation?: Explanation | undefined
}

/** Of one part of a capture, not of a request: bounded by what fits into a string. As deep as audit events may be. */
const REPLAY_LIMITS: BodyLimits = { maxBytes: 500_000_000, maxItems: 10_000_000, maxDepth: 10_100 }

/** What is kept of a capture of any length. */
const MAX_REFUSED = 10_000
const MAX_WEIGHTLESS = 10_000

/** A capture: text or bytes, or blocks of a file as they are read. */
export type Capture = string | Uint8Array | AsyncIterable<Uint8Array>

/**
 * Decodes and correlates `input` without a cluster and without a stored ledger. The clock is the newest event so far, so that an old capture gives what it gave
 * when it happened. Images whose alerts weigh nothing are listed too. Pure: same input, same report. Memory does not grow with the length of the
 * capture but with its images, except where it is one JSON value.
 */
export async function replay(
  input: Capture,
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
  const explainer =
    options.explain === true ? createExplainer(options.rules, { ...THRESHOLDS, ...options.thresholds }) : undefined

  const limits = options.limits ?? REPLAY_LIMITS
  const refused: { line: number; code: RefusalCode }[] = []
  const weightless = new Map<string, ReplayedImage>()
  let refusedCount = 0
  let decoded = 0
  let lines = 0
  let bytes = 0

  const refuse = (line: number, code: RefusalCode): void => {
    refusedCount++
    if (refused.length < MAX_REFUSED) refused.push({ line, code })
  }

  const play = async (alert: RuntimeAlert, line: number): Promise<void> => {
    if (alert.time <= latest) clock = Math.max(clock, alert.time)
    const image = claimedImage(alert, options.parseReference)
    const before = image === undefined ? undefined : correlator.get(image.name)
    const [outcome] = await correlator.handle([alert])
    if (outcome === undefined) return
    if (image !== undefined) noteWeightless(weightless, outcome, image)
    const after = image === undefined ? undefined : correlator.get(image.name)
    explainer?.add({ line, outcome, time: countedTime(alert, clock).time, now: clock, image, before, after })
  }

  for await (const part of captureParts(blocksOf(input), { maxBytes: limits.maxBytes })) {
    const body = splitBody(part.bytes, limits)
    let items = 0
    let partLines = 0
    let lastLine = 0
    for (const item of body.items) {
      items++
      if (item.line !== lastLine) partLines++
      lastLine = item.line
      const line = part.linesBefore + item.line
      if ('refused' in item) {
        refuse(line, item.refused.code)
        continue
      }
      const result = decode(item.item)
      if (result.kind === 'refused') refuse(line, result.code)
      else decoded++
      if (result.kind === 'finding') await play(result.alert, line)
    }
    lines += part.whole && body.shape === 'array' ? items : partLines
    bytes += part.bytes.byteLength
    options.onProgress?.({ bytes, decoded })
  }
  await correlator.sweep()

  for (const { name } of correlator.list()) weightless.delete(name)
  const images = [
    ...correlator.list().map((verdict) => explained(imageOf(verdict), verdict.name, explainer)),
    ...[...weightless].map(([name, image]) => explained(image, name, explainer)),
  ]
  return {
    lines,
    decoded,
    refused,
    ...(refusedCount > refused.length ? { refusedUnlisted: refusedCount - refused.length } : {}),
    images: images.sort((left, right) => right.score - left.score || (left.image < right.image ? -1 : 1)),
    ...(explainer === undefined ? {} : { withoutImage: explainer.withoutImage() }),
  }
}

function blocksOf(input: Capture): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  if (typeof input === 'string') return [Buffer.from(input)]
  return input instanceof Uint8Array ? [input] : input
}

function explained(image: ReplayedImage, name: string, explainer: Explainer | undefined): ReplayedImage {
  const explanation = explainer?.of(name)
  return explanation === undefined ? image : { ...image, explanation }
}

/** The image that an alert names, and the name of its verdict: what the correlator goes by where there is no cluster. */
function claimedImage(
  alert: RuntimeAlert,
  parseReference: ParseReference,
): { readonly name: string; readonly identity: ImageIdentity } | undefined {
  const attribution = attributeByClaim(alert, parseReference)
  if (attribution.kind !== 'image') return undefined
  const name = verdictNameFor(attribution.image, undefined)
  return name === undefined ? undefined : { name, identity: attribution.image }
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
function noteWeightless(
  found: Map<string, ReplayedImage>,
  outcome: Outcome,
  { name, identity }: { readonly name: string; readonly identity: ImageIdentity },
): void {
  if (outcome.decision !== 'no-weight' && outcome.decision !== 'too-old') return
  const earlier = found.get(name)
  if (earlier === undefined && found.size === MAX_WEIGHTLESS) return
  const digest = earlier?.digest ?? identity.digests[0] ?? null
  found.set(name, {
    image: identity.references[0] ?? digest ?? name,
    digest,
    score: 0,
    phase: 'observing',
    reason: earlier?.reason ?? `${outcome.decision}: ${outcome.alert.rule}: ${outcome.reason}`,
  })
}
