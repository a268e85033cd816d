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
import type { FlaggedVerdict } from '../verdicts/flagged.ts'
import { imageNames } from '../verdicts/nameIndex.ts'
import { reachOf } from '../verdicts/reach.ts'
import { byName, fitting } from './fitting.ts'
import { netProfiles, type ProfileSources } from './profiles.ts'
import { heldChecks } from './profileRule.ts'

export interface NetSources extends ProfileSources {
  readonly exceptions: readonly ListedException[]
  readonly verdicts: readonly FlaggedVerdict[]
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

/** Bytes of JSON; together, and with what profiles.ts makes, below the 1.5 MiB that etcd takes. */
const MAX_BYTES = {
  images: 900 * 1024,
  exceptions: 256 * 1024,
  exemptions: 64 * 1024,
} as const
/** Bytes of patterns in one exception: each container's image is matched with each of them, and the API server limits what that may cost. */
const MAX_PATTERN_BYTES = 2048
const ANY_IMAGE = '^'
/** The API server tells the time here, Drawbridge in the webhook: clocks may differ by so much. */
const CLOCKS_MS = 60_000
/** What ends are rounded to. */
const STEPS_MS = [3600_000, 600_000, 60_000]
const LEAST_STEP_MS = 10_000
/** Written as text, compared as text. */
const LAST_TIME = Date.UTC(9999, 11, 31)

/** `2026-12-31T00:00:00Z`. */
const timeText = (time: number): string =>
  `${new Date(Math.min(Math.max(0, time), LAST_TIME)).toISOString().slice(0, 19)}Z`

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

const netException = (
  { namespaces, serviceAccounts, checks, images, expiresAt }: AdmissionException,
  held: ReadonlySet<string>,
): NetException => {
  const texts = images.map(patternExpression)
  const patterns = texts.flatMap((text) => text?.expression ?? [])
  const isLong = patterns.reduce((sum, pattern) => sum + pattern.length, 0) > MAX_PATTERN_BYTES
  return {
    namespaces,
    serviceAccounts,
    checks: checks.filter((check) => held.has(check)),
    images: texts.flatMap((text) => text?.reference ?? []),
    patterns: isLong ? [ANY_IMAGE] : patterns,
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
const made = new WeakMap<FlaggedVerdict, { readonly end: number; readonly said: NetVerdict | undefined }>()

/** What a verdict denies; undefined: nothing, anywhere. */
const netVerdict = (verdict: FlaggedVerdict, now: number): NetVerdict | undefined => {
  const exact = verdict.until - CLOCKS_MS
  if (exact <= now) return undefined
  // Each alert puts the end off by a little, and is not worth a write: it is told earlier by a twentieth of what is left at most.
  const step = STEPS_MS.find((one) => one * 20 <= exact - now) ?? LEAST_STEP_MS
  const end = exact - (exact % step)
  const known = made.get(verdict)
  if (known?.end === end) return known.said
  const said = saidOf(verdict, timeText(end))
  made.set(verdict, { end, said })
  return said
}

const saidOf = ({ name, phase, reach }: FlaggedVerdict, until: string): NetVerdict | undefined => {
  const { elsewhere, denying, warning } = reachOf({ phase, reach })
  const said = { verdict: name.replace(/^(sha256|ref)-([0-9a-f]{12})[0-9a-f]*$/u, '$1-$2'), until }
  if (elsewhere !== 'denying') return denying.length === 0 ? undefined : { ...said, namespaces: denying }
  const except = warning.filter((namespace) => !denying.includes(namespace))
  return except.length === 0 ? said : { ...said, except }
}

/** The worst first, of equals the newest. */
const worstFirst = (verdicts: readonly FlaggedVerdict[]): readonly FlaggedVerdict[] =>
  verdicts.toSorted(
    (a, b) =>
      Number(b.confirmed) - Number(a.confirmed) ||
      b.score - a.score ||
      b.phaseSince - a.phaseSince ||
      (a.name < b.name ? -1 : 1),
  )

const imageEntries = (
  verdicts: readonly FlaggedVerdict[],
  now: number,
): readonly (readonly [string, readonly NetVerdict[]])[] => {
  const entries = new Map<string, readonly NetVerdict[]>()
  for (const verdict of verdicts) {
    const said = netVerdict(verdict, now)
    if (said === undefined) continue
    for (const key of imageNames(verdict)) {
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
  const profiles = netProfiles(sources, holdsChecks)
  const exceptions = fitting(exceptionEntries(sources.exceptions, checks, now), MAX_BYTES.exceptions)

  const fittingImages = (verdicts: readonly FlaggedVerdict[]) =>
    fitting(imageEntries(verdicts, now), MAX_BYTES.images, MAX_NET_IMAGES, imageBytes)
  const verdicts = sources.brake === 'enforce' ? sources.verdicts : []
  const all = fittingImages(verdicts)
  const images = all.left === 0 ? all : fittingImages(worstFirst(verdicts))
  return {
    spec: {
      profiles: profiles.map,
      profilesComplete: profiles.isComplete,
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
