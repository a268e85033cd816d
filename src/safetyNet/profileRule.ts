/** What the safety net holds of a profile: found by asking its checks, so that it can never hold what they do not. */
import { HELD, type Held, type HeldChecks, type NetProfile } from '../kube/safetyNet.ts'
import type { Container, PodSpec } from '../kube/types.ts'
import { DANGEROUS_CAPABILITIES, DEFAULT_CAPABILITIES } from '../policy/dangerousCapabilities.ts'
import { pathComponents } from '../policy/hostPath.ts'
import type { AdmissionProfileSpec } from '../policy/profile.ts'
import type { CompiledCheck, QuarantineMode } from '../policy/types.ts'

/** What is known of a profile: its checks, and what an AdmissionProfile says beside. */
export interface KnownProfile {
  readonly checks: readonly CompiledCheck[]
  readonly quarantine: QuarantineMode
  readonly hostPaths?: AdmissionProfileSpec['allowedHostPathPrefixes']
}

const podWith = (spec: Partial<PodSpec>, securityContext: Container['securityContext'] = {}): PodSpec => ({
  containers: [{ name: 'probe', image: 'registry.example/probe:1', securityContext }],
  ...spec,
})
const PLAIN = podWith({})
const adding = (capability: string): PodSpec => podWith({}, { capabilities: { add: [capability] } })
const CAPABILITIES = [...DEFAULT_CAPABILITIES, ...DANGEROUS_CAPABILITIES.keys()]

/** One pod for each thing that is held, and for capabilities one for each that there is. */
const PROBES: Readonly<Record<Held, readonly PodSpec[]>> = {
  capabilities: CAPABILITIES.map(adding),
  hostNamespaces: [podWith({ hostPID: true }), podWith({ hostNetwork: true }), podWith({ hostIPC: true })],
  hostPath: [podWith({ volumes: [{ name: 'probe', hostPath: { path: '/' } }] })],
  privileged: [podWith({}, { privileged: true })],
}

/** `check path` of everything that the checks find. */
const findings = (checks: readonly CompiledCheck[], spec: PodSpec): ReadonlyMap<string, string> =>
  new Map(checks.flatMap(({ check }) => check({}, spec)).map(({ check, path }) => [`${check} ${path}`, check]))

/** The IDs of the checks that find something in this pod that they do not find in a plain one. */
const foundBy = (checks: readonly CompiledCheck[], spec: PodSpec, plain: ReadonlyMap<string, string>): string[] => [
  ...new Set([...findings(checks, spec)].flatMap(([finding, check]) => (plain.has(finding) ? [] : [check]))),
]

interface Probed {
  readonly checks: HeldChecks
  readonly capabilities: readonly string[]
}

const probe = (checks: readonly CompiledCheck[]): Probed => {
  const plain = findings(checks, PLAIN)
  const held = HELD.flatMap((one) => {
    const found = PROBES[one].map((spec) => foundBy(checks, spec, plain))
    const isHeld =
      one === 'capabilities' ? found.some(({ length }) => length > 0) : found.every((ids) => ids.length > 0)
    return isHeld ? [[one, [...new Set(found.flat())].sort()] as const] : []
  })
  const allowed = CAPABILITIES.filter((name) => foundBy(checks, adding(name), plain).length === 0)
  // What restricted says of default ones depends on its version.
  return { checks: Object.fromEntries(held), capabilities: [...new Set([...DEFAULT_CAPABILITIES, ...allowed])].sort() }
}

/** About fifty evaluations; profiles change rarely, verdicts often. */
const probed = new WeakMap<readonly CompiledCheck[], Probed>()
const probeOnce = (checks: readonly CompiledCheck[]): Probed => {
  const known = probed.get(checks) ?? probe(checks)
  probed.set(checks, known)
  return known
}

/** Which checks find each thing that is held; a thing is left out unless every pod with it is found. */
export const heldChecks = (checks: readonly CompiledCheck[]): HeldChecks => probeOnce(checks).checks

/** What the net holds of one profile. Pure. */
export const netProfile = ({ checks, quarantine, hostPaths = [] }: KnownProfile): NetProfile => ({
  quarantine,
  ...probeOnce(checks),
  hostPaths: hostPaths
    .flatMap(({ path }) => {
      const components = pathComponents(path)
      return components === undefined ? [] : [components.length === 0 ? '/' : `/${components.join('/')}/`]
    })
    .sort(),
})
