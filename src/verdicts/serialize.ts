/** The JSON form of a verdict in a store, and its strict reader: what a store gives back is not trusted to be what was written. */
import { isDeepStrictEqual } from 'node:util'
import type { Detector } from '../alerts/types.ts'
import { cleanText } from '../alerts/text.ts'
import { boundFacts, contributionKey } from './merge.ts'
import { DIGEST, MAX_DIGEST_LENGTH, VERDICT_NAME } from './name.ts'
import { bounded } from './reach.ts'
import type { Answer, Contribution, Decision, Evidence, ImageVerdict, Muted, Phase, Reach, Release } from './types.ts'

export type ReadVerdict =
  | { readonly verdict: ImageVerdict; readonly problem?: undefined }
  /** One line that says which field is wrong. */
  | { readonly verdict?: undefined; readonly problem: string }

const PHASES: readonly Phase[] = ['observing', 'warning', 'denying', 'pending', 'released', 'expired']
const DETECTORS: readonly Detector[] = ['falco', 'k8s-audit', 'tracee', 'tetragon', 'kubearmor']
const RELEASED_AS: readonly Release['as'][] = ['false-positive', 'accepted', 'fixed']

const ANSWERS: readonly Answer[] = ['none', 'warning', 'denying']

/** Longest text of a person kept in a release, and of a phase's reason. */
export const MAX_REASON = 256

/**
 * The JSON text that `readVerdict` reads back. Throws where it would not: an alert must not be acknowledged whose verdict is found damaged at the next start.
 */
export function writeVerdict(verdict: ImageVerdict): string {
  const json = JSON.stringify(verdict)
  const { problem } = readVerdict(JSON.parse(json))
  if (problem !== undefined) throw new Error(`a verdict that could not be read back is not written: ${problem}`)
  return json
}

/** Whether two verdicts say the same, whatever the order of their keys. */
export function sameVerdict(left: ImageVerdict, right: ImageVerdict): boolean {
  if (left === right) return true
  const [leftText, rightText] = [JSON.stringify(left), JSON.stringify(right)]
  if (leftText === rightText) return true
  // Another order of keys has the same length: only then is the slow comparison worth it.
  return leftText.length === rightText.length && isDeepStrictEqual(JSON.parse(leftText), JSON.parse(rightText))
}

/** Reads one verdict in its JSON form, field by field; unknown keys are ignored, bounds are enforced. Never throws. */
export function readVerdict(value: unknown): ReadVerdict {
  try {
    return { verdict: read(value) }
  } catch (error) {
    return { problem: error instanceof Unreadable ? error.message : 'cannot be read' }
  }
}

class Unreadable extends Error {}

type Json = Readonly<Record<string, unknown>>

function read(value: unknown): ImageVerdict {
  const verdict = object(value, 'the verdict')
  const name = text(verdict, 'name', 80)
  if (!VERDICT_NAME.test(name)) throw new Unreadable('name is not sha256-<64 hex> or ref-<40 hex>')
  const digests = texts(verdict, 'digests', MAX_DIGEST_LENGTH)
  if (!digests.every((digest) => DIGEST.test(digest)))
    throw new Unreadable('digests holds something else than sha256:<64 hex>, sha384:<96 hex> or sha512:<128 hex>')
  const contributions = Object.values(object(own(verdict, 'contributions'), 'contributions'))
    .slice(0, 1024)
    .map(readContribution)
  return {
    name,
    ...boundFacts({
      digests,
      references: texts(verdict, 'references', 512),
      ...readIfPresent(verdict, 'alerted', readAlerted),
      contributions: Object.fromEntries(contributions.map((item) => [contributionKey(item), item])),
      evidence: array(verdict, 'evidence').map(readEvidence),
      ...readIfPresent(verdict, 'release', readRelease),
      ...readIfPresent(verdict, 'confirm', readDecision),
      ...readIfPresent(verdict, 'mute', readDecision),
      ...readIfPresent(verdict, 'muted', readMuted),
    }),
    phase: oneOf(verdict, 'phase', PHASES),
    phaseSince: time(verdict, 'phaseSince'),
    reason: text(verdict, 'reason', 2 * MAX_REASON + 128),
    expiresAt: time(verdict, 'expiresAt'),
    ...readIfPresent(verdict, 'reach', readReach),
  }
}

function readContribution(value: unknown): Contribution {
  const item = object(value, 'a contribution')
  const contribution = {
    class: text(item, 'class', 64),
    detector: oneOf(item, 'detector', DETECTORS),
    owner: text(item, 'owner', 512),
    weight: number(item, 'weight'),
    first: time(item, 'first'),
    last: time(item, 'last'),
    ...flag(item, 'own'),
  }
  if (contribution.first > contribution.last) throw new Unreadable('a contribution ends before it begins')
  return contribution
}

function readEvidence(value: unknown): Evidence {
  const item = object(value, 'a piece of evidence')
  return {
    key: text(item, 'key', 64),
    detector: oneOf(item, 'detector', DETECTORS),
    rule: text(item, 'rule', 256),
    priority: text(item, 'priority', 64),
    class: text(item, 'class', 64),
    weight: number(item, 'weight'),
    time: time(item, 'time'),
    ...optional(item, 'namespace'),
    ...optional(item, 'pod'),
    ...optional(item, 'container'),
    ...optional(item, 'node'),
    ...optional(item, 'target'),
    ...flag(item, 'own'),
  }
}

function readAlerted(value: unknown): NonNullable<ImageVerdict['alerted']> {
  const item = object(value, 'alerted')
  return { digests: number(item, 'digests'), references: number(item, 'references') }
}

function readRelease(value: unknown): Release {
  return { ...readDecision(value), as: oneOf(object(value, 'release'), 'as', RELEASED_AS) }
}

function readDecision(value: unknown): Decision {
  const item = object(value, 'a decision')
  return {
    by: text(item, 'by', MAX_REASON),
    reason: text(item, 'reason', MAX_REASON),
    at: time(item, 'at'),
    ...(own(item, 'until') === undefined ? {} : { until: time(item, 'until') }),
  }
}

function readMuted(value: unknown): Muted {
  const item = object(value, 'muted')
  const acts = array(item, 'acts').map((entry) => {
    const act = object(entry, 'a muted act')
    return { class: text(act, 'class', 64), target: text(act, 'target', 512) }
  })
  return { at: time(item, 'at'), repositories: texts(item, 'repositories', 512), acts }
}

function readReach(value: unknown): Reach {
  const item = object(value, 'reach')
  return bounded({
    elsewhere: oneOf(item, 'elsewhere', ANSWERS),
    denying: texts(item, 'denying', 63),
    warning: texts(item, 'warning', 63),
  })
}

/** A field that is left out where it has nothing to say. */
function readIfPresent<Key extends string, Value>(
  item: Json,
  key: Key,
  readValue: (value: unknown) => Value,
): Partial<Record<Key, Value>> {
  const value = own(item, key)
  return value === undefined ? {} : ({ [key]: readValue(value) } as Record<Key, Value>)
}

/** True or absent; anything else is absent too. */
function flag<Key extends string>(item: Json, key: Key): Partial<Record<Key, true>> {
  return own(item, key) === true ? ({ [key]: true } as Record<Key, true>) : {}
}

function object(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Unreadable(`${what} is not an object`)
  return value as Json
}

function own(item: Json, key: string): unknown {
  return Object.hasOwn(item, key) ? item[key] : undefined
}

function array(item: Json, key: string): readonly unknown[] {
  const value = own(item, key)
  if (!Array.isArray(value)) throw new Unreadable(`${key} is not an array`)
  return value.slice(0, 1024)
}

function texts(item: Json, key: string, max: number): readonly string[] {
  return array(item, key).map((value) => {
    if (typeof value !== 'string' || value.length > max)
      throw new Unreadable(`${key} holds something else than short text`)
    return value
  })
}

function text(item: Json, key: string, max: number): string {
  const value = own(item, key)
  if (typeof value !== 'string') throw new Unreadable(`${key} is not text`)
  return cleanText(value, max)
}

function optional(item: Json, key: string): Readonly<Record<string, string>> {
  return own(item, key) === undefined ? {} : { [key]: text(item, key, 512) }
}

function number(item: Json, key: string): number {
  const value = own(item, key)
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
    throw new Unreadable(`${key} is not a number of 0 or more`)
  return value
}

/** Milliseconds that a Date can hold. */
function time(item: Json, key: string): number {
  const value = number(item, key)
  if (value > 8.64e15) throw new Unreadable(`${key} is not a time`)
  return value
}

function oneOf<Value extends string>(item: Json, key: string, values: readonly Value[]): Value {
  const value = own(item, key)
  const found = values.find((candidate) => candidate === value)
  if (found === undefined) throw new Unreadable(`${key} is not one of ${values.join(', ')}`)
  return found
}
