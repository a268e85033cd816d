/**
 * `AdmissionProfile`: a built-in level, what it additionally allows, what it additionally requires, and what is injected.
 *
 * Every `allowed...` setting but `allowedRegistries` loosens exactly one thing of the level and nothing else (`allowances.ts`); the other
 * settings only add checks (`checks/`). docs/profiles.md is the reference; manifests/crds/admissionprofiles.yaml says the same to the API server.
 */
import { GROUP, VERSION } from '../kube/names.ts'
import { describeValue, isObject } from '../kube/shape.ts'
import { printable } from '../kube/text.ts'
import { isCapability } from './dangerousCapabilities.ts'
import { pathComponents } from './hostPath.ts'
import { normalizeRegistry } from './registryPrefix.ts'
import type { BuiltinProfile, Hardening, MinorVersion, QuarantineMode } from './types.ts'

/** Both ends belong to it. */
export interface NumberRange {
  readonly min: number
  readonly max: number
}

export interface HostPathPrefix {
  readonly path: string
  /** Every mount of such a volume must be read-only. Absent: it may be written. */
  readonly readOnly?: boolean | undefined
}

/** What is injected where a pod says nothing. */
export type InjectedSeccomp =
  { readonly type: 'RuntimeDefault' } | { readonly type: 'Localhost'; readonly localhostProfile: string }

export interface AdmissionProfileSpec {
  readonly extends: {
    readonly level: BuiltinProfile
    /** Absent: what the version label says, else `latest`. */
    readonly version?: MinorVersion | undefined
  }
  /** May be added beside those that the level allows; without `CAP_`. Loosens capabilities_baseline, or `add` in capabilities_restricted. */
  readonly allowedCapabilities?: readonly string[] | undefined
  /** Loosens hostPorts. */
  readonly allowedHostPorts?: readonly NumberRange[] | undefined
  /** Beside those that restricted allows. Loosens restrictedVolumes. */
  readonly allowedVolumeTypes?: readonly string[] | undefined
  /** Replaces hostPathVolumes by allowedHostPaths. */
  readonly allowedHostPathPrefixes?: readonly HostPathPrefix[] | undefined
  /** Every container must name a user, and one of these. */
  readonly runAsUser?: readonly NumberRange[] | undefined
  /** Every container must name a group, and one of these; supplementary groups must be among them. */
  readonly runAsGroup?: readonly NumberRange[] | undefined
  /** Whole registries or whole path components of repositories: `registry.example/team`. No other image may be named. */
  readonly allowedRegistries?: readonly string[] | undefined
  /** Every image must be named by digest. */
  readonly requireDigest?: boolean | undefined
  /** No image may be named by the tag `latest`, written or meant. */
  readonly forbidLatestTag?: boolean | undefined
  /** Every pod must say `automountServiceAccountToken: false`, and project no token for the API server into a volume. */
  readonly automountServiceAccountToken?: false | undefined
  /** Every container must say `readOnlyRootFilesystem: true`. */
  readonly readOnlyRootFilesystem?: boolean | undefined
  /** Absent: RuntimeDefault. The namespace's own label wins. */
  readonly seccomp?: InjectedSeccomp | undefined
  readonly hardening?: Hardening | undefined
  /** Absent: enforce. The namespace's own label wins. */
  readonly quarantine?: QuarantineMode | undefined
}

export interface AdmissionProfile {
  readonly name: string
  readonly spec: AdmissionProfileSpec
}

export type ReadProfile =
  | { readonly profile: AdmissionProfile; readonly problems?: undefined }
  | { readonly problems: readonly string[]; readonly profile?: undefined }

export const PROFILE_API_VERSION = `${GROUP}/${VERSION}`
export const PROFILE_KIND = 'AdmissionProfile'

/** Bounds of the lists; the CRD has the same. */
const MAX_LIST = 64
const MAX_TEXT = 512
/** Largest id that Linux and the API server take. */
const MAX_ID = 2_147_483_647

/** Types that restricted forbids (kubernetes/pod-security-admission:policy/check_restrictedVolumes.go), hostPath left out: it has a setting of its own. */
const VOLUME_TYPES: ReadonlySet<string> = new Set([
  'awsElasticBlockStore',
  'azureDisk',
  'azureFile',
  'cephfs',
  'cinder',
  'fc',
  'flexVolume',
  'flocker',
  'gcePersistentDisk',
  'gitRepo',
  'glusterfs',
  'iscsi',
  'nfs',
  'photonPersistentDisk',
  'portworxVolume',
  'quobyte',
  'rbd',
  'scaleIO',
  'storageos',
  'vsphereVolume',
])

const VERSION_TEXT = /^v1\.(0|[1-9][0-9]{0,3})$/u
const LOCALHOST_PROFILE = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(?:\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/u

/** Reads one value; adds what is wrong with it to `problems` (paths from the object) and gives undefined then. */
type Reader<T> = (value: unknown, path: string, problems: string[]) => T | undefined

/**
 * Reads an AdmissionProfile from parsed JSON or YAML, strictly: an unknown key or a value outside the bounds is a problem, one clear line
 * each, because a misspelt setting that is silently ignored would be an allowance by accident. Null counts as absent, as for the API server.
 * Whether the settings fit together is for `contradictions`. Linear; never throws.
 */
export const readAdmissionProfile = (object: unknown): ReadProfile => {
  const problems: string[] = []
  if (!isObject(object)) return { problems: [`wanted an ${PROFILE_KIND}, found ${describeValue(object)}`] }
  const { apiVersion, kind, metadata, spec } = object
  if (apiVersion !== PROFILE_API_VERSION)
    problems.push(`apiVersion: wanted ${PROFILE_API_VERSION}, ${found(apiVersion)}`)
  if (kind !== PROFILE_KIND) problems.push(`kind: wanted ${PROFILE_KIND}, ${found(kind)}`)
  const name = isObject(metadata) ? metadata['name'] : undefined
  if (typeof name !== 'string' || name === '') problems.push('metadata.name: wanted a name')
  const read = readSpec(spec, 'spec', problems)
  return problems.length > 0 || read === undefined
    ? { problems }
    : { profile: { name: String(name), spec: Object.freeze(read) } }
}

const found = (value: unknown): string =>
  `found ${typeof value === 'string' ? `"${printable(value, 60)}"` : Number.isFinite(value) ? String(value) : describeValue(value)}`

/** An object with these fields and no other; absent ones are left out. */
const fields =
  <T extends object>(
    readers: { readonly [K in keyof Required<T>]: Reader<NonNullable<T[K]>> },
    required: readonly (keyof T & string)[] = [],
  ): Reader<T> =>
  (value, path, problems) => {
    if (!isObject(value)) {
      problems.push(`${path}: wanted an object, ${found(value)}`)
      return undefined
    }
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(readers, key)) problems.push(`${path}: unknown field "${printable(key, 60)}"`)
    }
    const entries = Object.entries<Reader<unknown>>(readers).flatMap(([key, read]) => {
      const raw = Object.hasOwn(value, key) ? value[key] : undefined
      if (raw != null) {
        const result = read(raw, `${path}.${key}`, problems)
        return result === undefined ? [] : [[key, result] as const]
      }
      if (required.includes(key as keyof T & string)) problems.push(`${path}.${key}: is required`)
      return []
    })
    return Object.fromEntries(entries) as T
  }

const list =
  <T>(element: Reader<T>, identity: (value: T) => unknown = (value) => value): Reader<readonly T[]> =>
  (value, path, problems) => {
    if (!Array.isArray(value) || value.length === 0 || value.length > MAX_LIST) {
      const what = Array.isArray(value) ? `found ${value.length}` : found(value)
      problems.push(`${path}: wanted a list of 1 to ${MAX_LIST}, ${what}`)
      return undefined
    }
    const items = (value as readonly unknown[]).flatMap((item, index) => {
      const result = element(item, `${path}[${index}]`, problems)
      return result === undefined ? [] : [result]
    })
    if (new Set(items.map(identity)).size < items.length) problems.push(`${path}: holds something twice`)
    return items
  }

/** A text for which `accept` gives what is kept; `wanted` says what would have been accepted. */
const text =
  (wanted: string, accept: (value: string) => string | undefined): Reader<string> =>
  (value, path, problems) => {
    const accepted = typeof value === 'string' && value.length <= MAX_TEXT ? accept(value) : undefined
    if (accepted === undefined) problems.push(`${path}: wanted ${wanted}, ${found(value)}`)
    return accepted
  }

const oneOf =
  <T extends string | boolean>(...values: readonly T[]): Reader<T> =>
  (value, path, problems) => {
    const match = values.find((candidate) => candidate === value)
    if (match === undefined) problems.push(`${path}: wanted ${values.join(', ')}, ${found(value)}`)
    return match
  }

const integer =
  (min: number, max: number): Reader<number> =>
  (value, path, problems) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    problems.push(`${path}: wanted a whole number from ${min} to ${max}, ${found(value)}`)
    return undefined
  }

const ranges = (min: number, max: number): Reader<readonly NumberRange[]> =>
  list(
    fields<NumberRange>({ min: integer(min, max), max: integer(min, max) }, ['min', 'max']),
    (range) => `${range.min}-${range.max}`,
  )

const boolean: Reader<boolean> = oneOf<boolean>(true, false)

const version: Reader<MinorVersion> = (value, path, problems) => {
  if (value === 'latest') return value
  const minor = typeof value === 'string' ? VERSION_TEXT.exec(value)?.[1] : undefined
  if (minor === undefined) problems.push(`${path}: wanted latest or v1.N, ${found(value)}`)
  return minor === undefined ? undefined : Number(minor)
}

const seccomp: Reader<InjectedSeccomp> = (value, path, problems) => {
  const read = fields<{ readonly type: 'RuntimeDefault' | 'Localhost'; readonly localhostProfile?: string }>(
    {
      type: oneOf('RuntimeDefault', 'Localhost'),
      localhostProfile: text('a path below the seccomp folder of the node, without ..', (path_) =>
        LOCALHOST_PROFILE.test(path_) && !path_.includes('..') ? path_ : undefined,
      ),
    },
    ['type'],
  )(value, path, problems)
  if (read?.type === undefined) return undefined
  if (read.type === 'RuntimeDefault') {
    if (read.localhostProfile === undefined) return { type: 'RuntimeDefault' }
    problems.push(`${path}.localhostProfile: is for type Localhost only`)
    return undefined
  }
  if (read.localhostProfile !== undefined) return { type: 'Localhost', localhostProfile: read.localhostProfile }
  // A name that was given and refused has its line already.
  if (!isObject(value) || value['localhostProfile'] == null)
    problems.push(`${path}.localhostProfile: is required for type Localhost`)
  return undefined
}

const readSpec: Reader<AdmissionProfileSpec> = fields<AdmissionProfileSpec>(
  {
    extends: fields<AdmissionProfileSpec['extends']>(
      { level: oneOf<BuiltinProfile>('privileged', 'baseline', 'standard', 'restricted'), version },
      ['level'],
    ),
    allowedCapabilities: list(
      text('a capability in capitals and without CAP_, or ALL', (name) => (isCapability(name) ? name : undefined)),
    ),
    allowedHostPorts: ranges(1, 65_535),
    allowedVolumeTypes: list(
      text('a volume type that restricted forbids (for hostPath use allowedHostPathPrefixes)', (name) =>
        VOLUME_TYPES.has(name) ? name : undefined,
      ),
    ),
    allowedHostPathPrefixes: list(
      fields<HostPathPrefix>(
        {
          path: text('an absolute path without ..', (path) =>
            pathComponents(path) === undefined ? undefined : `/${pathComponents(path)?.join('/')}`,
          ),
          readOnly: boolean,
        },
        ['path'],
      ),
      ({ path }) => path,
    ),
    runAsUser: ranges(0, MAX_ID),
    runAsGroup: ranges(0, MAX_ID),
    allowedRegistries: list(text('a registry such as registry.example, or registry.example/team', normalizeRegistry)),
    requireDigest: boolean,
    forbidLatestTag: boolean,
    automountServiceAccountToken: oneOf<false>(false),
    readOnlyRootFilesystem: boolean,
    seccomp,
    hardening: fields<Hardening>({
      allowPrivilegeEscalation: oneOf<false>(false),
      dropAllCapabilities: boolean,
      runAsNonRoot: boolean,
      readOnlyRootFilesystem: boolean,
    }),
    quarantine: oneOf<QuarantineMode>('enforce', 'warn', 'off'),
  },
  ['extends'],
)
