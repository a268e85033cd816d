/**
 * What the safety net knows (rule 21): its parameter object, made of what admission knows. Pure.
 *
 * The policy that reads it runs beside the webhook and cannot tell whether that is up, so it must never deny what the webhook allows. Hence everything that
 * allows is in here too, and where something does not fit it is always the denial that is left out.
 */
import { patternExpression } from '../kube/imagePattern.ts'
import {
  HELD,
  MAX_NET_IMAGES,
  type Held,
  type NetException,
  type NetProfile,
  type NetVerdict,
  type SafetyNetSpec,
} from '../kube/safetyNet.ts'
import { allowedHostPaths } from '../policy/checks/allowedHostPaths.ts'
import type { CompiledProfile } from '../policy/compileProfile.ts'
import { isExpired, type AdmissionException } from '../policy/exceptions.ts'
import type { ListedException } from '../policy/exceptionUses.ts'
import type { Exemptions } from '../policy/exemptions.ts'
import { BUILTIN_CHECKS, BUILTIN_PROFILES } from '../policy/registry.ts'
import type { MinorVersion, QuarantineMode } from '../policy/types.ts'
import { countedContributions, isFlagged } from '../verdicts/phase.ts'
import { reachOf, scoresOf } from '../verdicts/reach.ts'
import type { ImageVerdict } from '../verdicts/types.ts'
import { heldChecks, netProfile } from './profileRule.ts'

export interface NetSources {
  /** The AdmissionProfiles that may be used. */
  readonly profiles: readonly CompiledProfile[]
  /** What `latest` means; undefined: newer than every number. */
  readonly minor: number | undefined
  readonly exceptions: readonly ListedException[]
  readonly verdicts: readonly ImageVerdict[]
  /** What the brake lets verdicts do. */
  readonly brake: QuarantineMode
  readonly exemptions: Exemptions
  readonly podSecurityLabels: boolean
}

/** How much is in the object, and how much found no room. */
export interface NetCounts {
  readonly images: number
  readonly exceptions: number
  readonly profiles: number
  readonly imagesLeftOut: number
  readonly exceptionsLeftOut: number
  readonly profilesLeftOut: number
}

export interface NetContent {
  readonly spec: SafetyNetSpec
  readonly counts: NetCounts
}

/** Bytes of JSON; together well below the 1.5 MiB that etcd takes. */
const MAX_BYTES = { images: 900 * 1024, exceptions: 256 * 1024, profiles: 96 * 1024, exemptions: 64 * 1024 } as const
/** The API server tells the time here, Drawbridge in the webhook: clocks may differ by so much. */
const CLOCKS_MS = 60_000
const HOUR_MS = 3600_000
/** Written as text, compared as text. */
const LAST_TIME = Date.UTC(9999, 11, 31)

/** `2026-12-31T00:00:00Z`. */
const timeText = (time: number): string =>
  `${new Date(Math.min(Math.max(0, time), LAST_TIME)).toISOString().slice(0, 19)}Z`

const bytesOf = (key: string, value: unknown): number =>
  Buffer.byteLength(key) + Buffer.byteLength(JSON.stringify(value)) + 4

/** As many entries, in their order, as fit; keys sorted, so that equal contents are equal texts. */
const fitting = <T>(
  entries: readonly (readonly [string, T])[],
  maxBytes: number,
  maxEntries = Number.POSITIVE_INFINITY,
  sizeOf: (key: string, value: T) => number = bytesOf,
): { readonly map: Readonly<Record<string, T>>; readonly left: number } => {
  const kept: (readonly [string, T])[] = []
  let bytes = 0
  for (const entry of entries) {
    const size = sizeOf(...entry)
    if (kept.length >= maxEntries || bytes + size > maxBytes) continue
    bytes += size
    kept.push(entry)
  }
  return { map: Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1))), left: entries.length - kept.length }
}

const byName = <T extends { readonly name: string }>(items: readonly T[]): readonly T[] =>
  [...items].sort((a, b) => (a.name < b.name ? -1 : 1))

/** Every check that may find each thing, at whatever version. */
const allChecks = (profiles: readonly CompiledProfile[], latest: MinorVersion): SafetyNetSpec['checks'] => {
  const lists = [
    ...BUILTIN_PROFILES.flatMap((name) => [BUILTIN_CHECKS(name, 0), BUILTIN_CHECKS(name, latest)]),
    ...profiles.map((profile) => profile.checksAt(profile.spec.extends.version ?? latest)),
  ].map(heldChecks)
  const idsOf = (held: Held): readonly string[] => lists.flatMap((checks) => checks[held] ?? [])
  const idsBeside = { hostPath: [allowedHostPaths.id] } as Partial<Record<Held, readonly string[]>>
  return Object.fromEntries(
    HELD.map((held) => [held, [...new Set([...idsOf(held), ...(idsBeside[held] ?? [])])].sort()]),
  ) as unknown as SafetyNetSpec['checks']
}

const profileEntries = (
  { profiles, minor }: NetSources,
  holdsChecks: boolean,
): readonly (readonly [string, NetProfile])[] => {
  const latest: MinorVersion = minor ?? 'latest'
  const builtin = BUILTIN_PROFILES.map(
    (name) => [name, netProfile({ checks: BUILTIN_CHECKS(name, latest), quarantine: 'enforce' })] as const,
  )
  const custom = byName(profiles).map(({ name, spec, checksAt }) => {
    const version = spec.extends.version ?? latest
    const known = {
      checks: checksAt(version),
      quarantine: spec.quarantine ?? 'enforce',
      hostPaths: spec.allowedHostPathPrefixes,
    } as const
    return [name, netProfile(known)] as const
  })
  return [...builtin, ...custom].map(([name, profile]) => [name, holdsChecks ? profile : { ...profile, checks: {} }])
}

const netException = (
  { namespaces, serviceAccounts, checks, images, expiresAt }: AdmissionException,
  held: ReadonlySet<string>,
): NetException => {
  const texts = images.map(patternExpression)
  return {
    namespaces,
    serviceAccounts,
    checks: checks.filter((check) => held.has(check)),
    images: texts.flatMap((text) => text?.reference ?? []),
    patterns: texts.flatMap((text) => text?.expression ?? []),
    until: timeText(expiresAt + CLOCKS_MS),
  }
}

const exceptionEntries = (
  exceptions: readonly ListedException[],
  checks: SafetyNetSpec['checks'],
  now: number,
): readonly (readonly [string, NetException])[] => {
  const held = new Set(Object.values(checks).flat())
  return byName(exceptions).flatMap(({ name, reading: { exception } }) =>
    exception === undefined ||
    exception.suspended ||
    isExpired(exception, now - CLOCKS_MS) ||
    !exception.checks.some((check) => held.has(check))
      ? []
      : [[name, netException(exception, held)] as const],
  )
}

/** Verdicts are values: what was made of one is made again only for another end. */
const made = new WeakMap<ImageVerdict, { readonly end: number; readonly said: NetVerdict | undefined }>()

/** What a verdict denies; undefined: nothing, anywhere. */
const netVerdict = (verdict: ImageVerdict, now: number): NetVerdict | undefined => {
  if (!isFlagged(verdict, now) || verdict.expiresAt - CLOCKS_MS <= now) return undefined
  const exact = verdict.expiresAt - CLOCKS_MS
  // Each alert puts the end off by a little, and is not worth a write: what has a day and more is told to the hour.
  const end = exact - now > 24 * HOUR_MS ? exact - (exact % HOUR_MS) : exact
  const known = made.get(verdict)
  if (known?.end === end) return known.said
  const said = saidOf(verdict, timeText(end))
  made.set(verdict, { end, said })
  return said
}

const saidOf = ({ name, phase, reach }: ImageVerdict, until: string): NetVerdict | undefined => {
  const { elsewhere, denying, warning } = reachOf({ phase, reach })
  const said = { verdict: name.replace(/^(sha256|ref)-([0-9a-f]{12})[0-9a-f]*$/u, '$1-$2'), until }
  if (elsewhere !== 'denying') return denying.length === 0 ? undefined : { ...said, namespaces: denying }
  const except = warning.filter((namespace) => !denying.includes(namespace))
  return except.length === 0 ? said : { ...said, except }
}

/** The worst first, of equals the newest. */
const worstFirst = (verdicts: readonly ImageVerdict[]): readonly ImageVerdict[] => {
  const score = new Map(verdicts.map((verdict) => [verdict, scoresOf(countedContributions(verdict)).highest]))
  return [...verdicts].sort(
    (a, b) =>
      Number(b.confirm !== undefined) - Number(a.confirm !== undefined) ||
      (score.get(b) ?? 0) - (score.get(a) ?? 0) ||
      b.phaseSince - a.phaseSince ||
      (a.name < b.name ? -1 : 1),
  )
}

const imageEntries = (
  verdicts: readonly ImageVerdict[],
  now: number,
): readonly (readonly [string, readonly NetVerdict[]])[] => {
  const entries = new Map<string, readonly NetVerdict[]>()
  for (const verdict of verdicts) {
    const said = netVerdict(verdict, now)
    if (said === undefined) continue
    for (const key of [...verdict.digests, ...verdict.references]) {
      const others = entries.get(key)
      const all = others === undefined ? [said] : [...others, said].sort((a, b) => (a.verdict < b.verdict ? -1 : 1))
      entries.set(key, all)
    }
  }
  return [...entries]
}

/** Bytes of one of them as JSON: names, digests and times are ASCII, and there are thousands. */
const imageBytes = (key: string, said: readonly NetVerdict[]): number =>
  said.reduce(
    (sum, { verdict, until, namespaces = [], except = [] }) =>
      sum + verdict.length + until.length + 40 + [...namespaces, ...except].join('","').length + 20,
    key.length + 8,
  )

/**
 * The parameter object at `now` (milliseconds since the epoch), and what found no room in it. Equal sources give equal texts (`JSON.stringify`).
 * Linear in profiles, exceptions and verdicts; sorts the verdicts by their scores only where not all of them fit.
 */
export const netContent = (sources: NetSources, now: number): NetContent => {
  const { users, namespaces, runtimeClasses } = sources.exemptions
  const asked = { users: [...users], namespaces: [...namespaces], runtimeClasses: [...runtimeClasses] }
  const holdsChecks = Buffer.byteLength(JSON.stringify(asked)) <= MAX_BYTES.exemptions
  const checks = allChecks(sources.profiles, sources.minor ?? 'latest')
  const profiles = fitting(profileEntries(sources, holdsChecks), MAX_BYTES.profiles)
  const exceptions = fitting(exceptionEntries(sources.exceptions, checks, now), MAX_BYTES.exceptions)

  const fittingImages = (verdicts: readonly ImageVerdict[]) =>
    fitting(imageEntries(verdicts, now), MAX_BYTES.images, MAX_NET_IMAGES, imageBytes)
  const verdicts = sources.brake === 'enforce' ? sources.verdicts : []
  const all = fittingImages(verdicts)
  const images = all.left === 0 ? all : fittingImages(worstFirst(verdicts))
  return {
    spec: {
      profiles: profiles.map,
      checks,
      exceptions: exceptions.map,
      exceptionsComplete: exceptions.left === 0,
      exemptions: holdsChecks ? asked : { users: [], namespaces: [], runtimeClasses: [] },
      podSecurityLabels: sources.podSecurityLabels,
      quarantine: sources.brake,
      images: images.map,
    },
    counts: {
      images: Object.keys(images.map).length,
      exceptions: Object.keys(exceptions.map).length,
      profiles: Object.keys(profiles.map).length,
      imagesLeftOut: images.left,
      exceptionsLeftOut: exceptions.left,
      profilesLeftOut: profiles.left,
    },
  }
}
