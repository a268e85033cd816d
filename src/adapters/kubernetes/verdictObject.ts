/** ImageVerdict as an API object and in memory: the mapping, with a strict reader. See manifests/crds/imageverdicts.yaml. */
import * as z from 'zod'

import { GROUP, VERSION } from '../../kube/names.ts'
import { DIGEST } from '../../verdicts/name.ts'
import { contributionKey } from '../../verdicts/merge.ts'
import type { Contribution, Decision, Evidence, ImageVerdict, Release } from '../../verdicts/types.ts'

/** The part of an ImageVerdict object that the machine writes. */
export type VerdictStatus = Readonly<Record<string, unknown>>

/** What an object of the API turned out to be. */
export type VerdictReading =
  | { readonly kind: 'verdict'; readonly verdict: ImageVerdict }
  /** Made, but the machine has not written its part yet. A release on it counts once it has. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'damaged'; readonly problem: string }

/** `2026-11-22T05:57:29.490Z` -> milliseconds since the epoch. */
const time = z
  .string()
  .max(40)
  .refine(
    (text) => /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d/.test(text) && Number.isFinite(Date.parse(text)),
    'is not an RFC 3339 time',
  )
  .transform((text) => Date.parse(text))
const short = z.string().max(512)
const count = z.number().int().min(0).max(64)
const weight = z.number().min(0).max(1000)
const detector = z.enum(['falco', 'k8s-audit', 'tracee', 'tetragon', 'kubearmor'])

/** True or absent. */
const own = z
  .boolean()
  .optional()
  .transform((value) => (value === true ? value : undefined))

const contribution = z.object({
  class: short.min(1),
  detector,
  owner: short.min(1),
  weight,
  first: time,
  last: time,
  own,
})
const evidence = z.object({
  key: short.min(1),
  detector,
  rule: short,
  priority: short,
  class: short,
  weight,
  time,
  namespace: short.optional(),
  pod: short.optional(),
  container: short.optional(),
  node: short.optional(),
  target: short.optional(),
  own,
})
const namespaces = z.array(z.string().min(1).max(63)).max(16).default([])
const status = z.object({
  digests: z.array(z.string().regex(DIGEST)).max(64).default([]),
  references: z.array(short.min(1)).max(64).default([]),
  alerted: z.object({ digests: count, references: count }).optional(),
  phase: z.enum(['observing', 'warning', 'denying', 'pending', 'released', 'expired']),
  phaseSince: time,
  reason: z.string().max(1024),
  expiresAt: time,
  contributions: z.array(contribution).max(64).default([]),
  evidence: z.array(evidence).max(10).default([]),
  reach: z
    .object({ elsewhere: z.enum(['none', 'warning', 'denying']), denying: namespaces, warning: namespaces })
    .optional(),
  muted: z
    .object({
      at: time,
      repositories: z.array(short.min(1)).max(32).default([]),
      acts: z
        .array(z.object({ class: short.min(1), target: short }))
        .max(10)
        .default([]),
    })
    .optional(),
})
const decision = z.object({
  by: z.string().min(1).max(253),
  reason: z.string().min(1).max(1024),
  at: time.optional(),
  until: time.optional(),
})
const release = decision.extend({ as: z.enum(['false-positive', 'accepted', 'fixed']) })
const object = z.object({
  metadata: z.object({
    name: z.string().regex(/^(sha256-[0-9a-f]{64}|ref-[0-9a-f]{16,64})$/),
    creationTimestamp: time.optional(),
    managedFields: z.array(z.unknown()).optional(),
  }),
  spec: z
    .object({
      release: release.optional(),
      confirm: decision.optional(),
      mute: decision.required({ until: true }).optional(),
    })
    .optional(),
  status: status.optional(),
})

/** Drops keys without a value: `exactOptionalPropertyTypes` and deep comparison both care. */
function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as T
}

/** The API server's clock and ours may differ by as much. */
const CLOCK_SKEW_MS = 5 * 60_000

/** The fields of `spec`: people's decisions. */
type DecisionField = 'release' | 'confirm' | 'mute'

/**
 * When the API server saw a decision in `spec` change: the newest entry of managedFields that owns it. Milliseconds, the end of the
 * second that the server noted: what happened in the very second of the release is covered by it.
 */
function recordedAt(
  managedFields: readonly unknown[] | undefined,
  name: DecisionField,
  latest: number,
): number | undefined {
  const times = (managedFields ?? []).flatMap((entry) => {
    const field = entry as { time?: unknown; subresource?: unknown; fieldsV1?: Record<string, unknown> } | null
    const spec = field?.fieldsV1?.['f:spec'] as Record<string, unknown> | undefined
    if (typeof spec !== 'object' || spec === null || !Object.hasOwn(spec, `f:${name}`)) return []
    const at = typeof field?.time === 'string' ? Date.parse(field.time) : Number.NaN
    return Number.isFinite(at) && at <= latest ? [at + 999] : []
  })
  return times.length === 0 ? undefined : Math.max(...times)
}

/**
 * Reads one object of the API. Strict: what the schema would refuse is damage, reported with the field's path.
 *
 * A decision without `at`, as a plain `kubectl patch` makes it, counts from the time the API server recorded; a later `at` than
 * that is brought back to it, or a date in the future would release the image for good. Whoever may write the object may write that record too: a time after
 * `now` (milliseconds since the epoch) is no time, wherever it stands.
 */
export function readVerdictObject(value: unknown, now = Number.POSITIVE_INFINITY): VerdictReading {
  const latest = now + CLOCK_SKEW_MS
  const parsed = object.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const path = issue === undefined || issue.path.length === 0 ? 'the object' : issue.path.map(String).join('.')
    return { kind: 'damaged', problem: `${path}: ${issue?.message ?? 'unreadable'}`.slice(0, 256) }
  }
  const { metadata, spec, status: machine } = parsed.data
  if (machine === undefined) return { kind: 'empty' }
  const contributions = machine.contributions.map((entry): [string, Contribution] => [
    contributionKey(entry),
    compact(entry),
  ])
  const decided = (name: DecisionField): Decision | undefined => {
    const person = spec?.[name]
    if (person === undefined) return undefined
    const recorded = recordedAt(metadata.managedFields, name, latest)
    // Without any record the object's own age is the only time that is surely not too late.
    const said = person.at !== undefined && person.at <= latest ? person.at : undefined
    const at = Math.min(said ?? recorded ?? metadata.creationTimestamp ?? 0, recorded ?? Number.POSITIVE_INFINITY)
    const { by, reason, until } = person
    return compact({ by, reason, at, until })
  }
  const person = spec?.release
  const released = decided('release')
  return {
    kind: 'verdict',
    verdict: {
      name: metadata.name,
      digests: machine.digests,
      references: machine.references,
      ...(machine.alerted === undefined ? {} : { alerted: machine.alerted }),
      contributions: Object.fromEntries(contributions),
      evidence: machine.evidence.map((entry): Evidence => compact(entry)),
      phase: machine.phase,
      phaseSince: machine.phaseSince,
      reason: machine.reason,
      expiresAt: machine.expiresAt,
      ...compact({
        release: person === undefined || released === undefined ? undefined : { ...released, as: person.as },
        confirm: decided('confirm'),
        mute: decided('mute'),
        muted: machine.muted,
        reach: machine.reach,
      }),
    },
  }
}

/** The last moment that RFC 3339 can write. */
const END_OF_TIME = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/** Milliseconds since the epoch -> `2026-11-22T05:57:29.490Z`. What no date can be becomes the nearest one that is. */
function toTime(ms: number): string {
  return new Date(Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), END_OF_TIME)).toISOString()
}

/** Shortens to what the schema takes: a refused write would be an alert that is never acknowledged. Counts code points, as the API server does. */
function clip(text: string, length: number): string {
  return text.length <= length ? text : Array.from(text).slice(0, length).join('')
}

const toWeight = (value: number): number => (Number.isFinite(value) ? Math.min(Math.max(value, 0), 1000) : 0)

/** The machine's part of an ImageVerdict object. Always within the bounds of the schema. */
export function toStatus(verdict: ImageVerdict): VerdictStatus {
  return {
    digests: verdict.digests.slice(0, 64),
    references: verdict.references.slice(0, 64).map((text) => clip(text, 512)),
    ...(verdict.alerted === undefined ? {} : { alerted: verdict.alerted }),
    phase: verdict.phase,
    phaseSince: toTime(verdict.phaseSince),
    reason: clip(verdict.reason, 1024),
    expiresAt: toTime(verdict.expiresAt),
    contributions: Object.values(verdict.contributions)
      .slice(0, 64)
      .map((entry) =>
        compact({
          class: clip(entry.class, 64),
          detector: entry.detector,
          owner: clip(entry.owner, 512),
          weight: toWeight(entry.weight),
          first: toTime(entry.first),
          last: toTime(entry.last),
          own: entry.own,
        }),
      ),
    evidence: verdict.evidence.slice(0, 10).map((entry) =>
      compact({
        key: clip(entry.key, 128),
        detector: entry.detector,
        rule: clip(entry.rule, 256),
        priority: clip(entry.priority, 64),
        class: clip(entry.class, 64),
        weight: toWeight(entry.weight),
        time: toTime(entry.time),
        namespace: entry.namespace === undefined ? undefined : clip(entry.namespace, 253),
        pod: entry.pod === undefined ? undefined : clip(entry.pod, 253),
        container: entry.container === undefined ? undefined : clip(entry.container, 253),
        node: entry.node === undefined ? undefined : clip(entry.node, 253),
        target: entry.target === undefined ? undefined : clip(entry.target, 512),
        own: entry.own,
      }),
    ),
    ...compact({
      reach: verdict.reach,
      muted: verdict.muted === undefined ? undefined : { ...verdict.muted, at: toTime(verdict.muted.at) },
    }),
  }
}

/** A person's decision as `spec.confirm` or `spec.mute`. */
export function toDecision(value: Decision): Readonly<Record<string, unknown>> {
  return compact({
    by: clip(value.by, 253),
    reason: clip(value.reason, 256),
    at: toTime(value.at),
    until: value.until === undefined ? undefined : toTime(value.until),
  })
}

/** A person's release as `spec.release`. */
export function toRelease(value: Release): Readonly<Record<string, unknown>> {
  return { ...toDecision(value), as: value.as }
}

/** A new object without the machine's part, which only the status subresource takes. */
export function newVerdictObject(name: string): Readonly<Record<string, unknown>> {
  return { apiVersion: `${GROUP}/${VERSION}`, kind: 'ImageVerdict', metadata: { name }, spec: {} }
}
