/** The JSON form of a verdict in a store, and its strict reader: what a store gives back is not trusted to be what was written. */
import { isDeepStrictEqual } from 'node:util'
import type { Detector } from '../alerts/types.ts'
import { cleanText, MAX_TEXT } from '../alerts/text.ts'
import { boundFacts } from './bounds.ts'
import { contributionKey } from './merge.ts'
import { DIGEST, MAX_DIGEST_LENGTH, VERDICT_NAME } from './name.ts'
import { bounded } from './reach.ts'
import type {
  Answer,
  Contribution,
  Decision,
  Evidence,
  ImageVerdict,
  Muted,
  Phase,
  Reach,
  Release,
  VerdictFacts,
} from './types.ts'

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

/** While its fields are filled in. */
type Draft<Value> = { -readonly [Key in keyof Value]: Value[Key] }

/** Each field is read at a place of its own in the code: there may be 100,000 verdicts to load, and a loop over names of fields costs several times as much. */
function read(value: unknown): ImageVerdict {
  const verdict = object(value, 'the verdict')
  const name = text(verdict['name'], 'name', 80)
  if (!VERDICT_NAME.test(name)) throw new Unreadable('name is not sha256-<64 hex> or ref-<40 hex>')
  const digests = texts(verdict['digests'], 'digests', MAX_DIGEST_LENGTH)
  if (!digests.every((digest) => DIGEST.test(digest)))
    throw new Unreadable('digests holds something else than sha256:<64 hex>, sha384:<96 hex> or sha512:<128 hex>')
  const { alerted, release, confirm, mute, muted, reach } = verdict
  const contributions: Record<string, Contribution> = {}
  for (const item of Object.values(object(verdict['contributions'], 'contributions')).slice(0, 1024)) {
    const contribution = readContribution(item)
    contributions[contributionKey(contribution)] = contribution
  }
  const facts: Draft<VerdictFacts> = {
    digests,
    references: texts(verdict['references'], 'references', 512),
    contributions,
    evidence: array(verdict['evidence'], 'evidence').map(readEvidence),
  }
  if (alerted !== undefined) facts.alerted = readAlerted(alerted)
  if (release !== undefined) facts.release = readRelease(release)
  if (confirm !== undefined) facts.confirm = readDecision(confirm)
  if (mute !== undefined) facts.mute = readDecision(mute)
  if (muted !== undefined) facts.muted = readMuted(muted)
  return {
    name,
    ...boundFacts(facts),
    phase: oneOf(verdict['phase'], 'phase', PHASES),
    phaseSince: time(verdict['phaseSince'], 'phaseSince'),
    reason: text(verdict['reason'], 'reason', 2 * MAX_REASON + 128),
    expiresAt: time(verdict['expiresAt'], 'expiresAt'),
    ...(reach === undefined ? {} : { reach: readReach(reach) }),
  }
}

function readContribution(value: unknown): Contribution {
  const item = object(value, 'a contribution')
  const contribution: Draft<Contribution> = {
    class: text(item['class'], 'class', 64),
    detector: oneOf(item['detector'], 'detector', DETECTORS),
    owner: text(item['owner'], 'owner', 512),
    weight: number(item['weight'], 'weight'),
    first: time(item['first'], 'first'),
    last: time(item['last'], 'last'),
  }
  if (item['own'] === true) contribution.own = true
  if (contribution.first > contribution.last) throw new Unreadable('a contribution ends before it begins')
  return contribution
}

function readEvidence(value: unknown): Evidence {
  const item = object(value, 'a piece of evidence')
  const { namespace, pod, container, node, target } = item
  const evidence: Draft<Evidence> = {
    key: text(item['key'], 'key', 64),
    detector: oneOf(item['detector'], 'detector', DETECTORS),
    rule: text(item['rule'], 'rule', 256),
    priority: text(item['priority'], 'priority', 64),
    class: text(item['class'], 'class', 64),
    weight: number(item['weight'], 'weight'),
    time: time(item['time'], 'time'),
  }
  if (namespace !== undefined) evidence.namespace = text(namespace, 'namespace', MAX_TEXT)
  if (pod !== undefined) evidence.pod = text(pod, 'pod', MAX_TEXT)
  if (container !== undefined) evidence.container = text(container, 'container', MAX_TEXT)
  if (node !== undefined) evidence.node = text(node, 'node', MAX_TEXT)
  if (target !== undefined) evidence.target = text(target, 'target', MAX_TEXT)
  if (item['own'] === true) evidence.own = true
  return evidence
}

function readAlerted(value: unknown): NonNullable<ImageVerdict['alerted']> {
  const { digests, references } = object(value, 'alerted')
  return { digests: number(digests, 'digests'), references: number(references, 'references') }
}

function readRelease(value: unknown): Release {
  return { ...readDecision(value), as: oneOf(object(value, 'release')['as'], 'as', RELEASED_AS) }
}

function readDecision(value: unknown): Decision {
  const { by, reason, at, until } = object(value, 'a decision')
  return {
    by: text(by, 'by', MAX_REASON),
    reason: text(reason, 'reason', MAX_REASON),
    at: time(at, 'at'),
    ...(until === undefined ? {} : { until: time(until, 'until') }),
  }
}

function readMuted(value: unknown): Muted {
  const muted = object(value, 'muted')
  const acts = array(muted['acts'], 'acts').map((entry) => {
    const act = object(entry, 'a muted act')
    return { class: text(act['class'], 'class', 64), target: text(act['target'], 'target', 512) }
  })
  return { at: time(muted['at'], 'at'), repositories: texts(muted['repositories'], 'repositories', 512), acts }
}

function readReach(value: unknown): Reach {
  const { elsewhere, denying, warning } = object(value, 'reach')
  return bounded({
    elsewhere: oneOf(elsewhere, 'elsewhere', ANSWERS),
    denying: texts(denying, 'denying', 63),
    warning: texts(warning, 'warning', 63),
  })
}

function object(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Unreadable(`${what} is not an object`)
  return value as Json
}

function array(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Unreadable(`${what} is not an array`)
  return value.slice(0, 1024)
}

function texts(value: unknown, what: string, max: number): readonly string[] {
  return array(value, what).map((item) => {
    if (typeof item !== 'string' || item.length > max)
      throw new Unreadable(`${what} holds something else than short text`)
    return item
  })
}

function text(value: unknown, what: string, max: number): string {
  if (typeof value !== 'string') throw new Unreadable(`${what} is not text`)
  return cleanText(value, max)
}

function number(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
    throw new Unreadable(`${what} is not a number of 0 or more`)
  return value
}

/** Milliseconds that a Date can hold. */
function time(value: unknown, what: string): number {
  const milliseconds = number(value, what)
  if (milliseconds > 8.64e15) throw new Unreadable(`${what} is not a time`)
  return milliseconds
}

function oneOf<Value extends string>(value: unknown, what: string, values: readonly Value[]): Value {
  if (!values.includes(value as Value)) throw new Unreadable(`${what} is not one of ${values.join(', ')}`)
  return value as Value
}
