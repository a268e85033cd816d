/**
 * What a profile loosens. An allowance shows the checks that it names a pod without what it allows, and only those checks: whatever
 * else they look at, at whatever version, and every other check, stay as strict as the level is.
 */
import type { Container, PodSpec, Volume } from '../kube/types.ts'
import type { AdmissionProfileSpec } from './profile.ts'
import { describeList, describeRanges, isInRanges } from './ranges.ts'
import type { CompiledCheck, Violation } from './types.ts'

interface Allowance {
  /** IDs of the checks that it loosens. */
  readonly checks: readonly string[]
  /** The pod without what is allowed. Indexes stay as they are, so that paths in violations are the real ones. */
  readonly relax: (spec: PodSpec) => PodSpec
  /** What the check wants now; undefined for violations that are about something else. */
  readonly required: (violation: Violation) => string | undefined
}

const mapContainers = (spec: PodSpec, change: (container: Container) => Container): PodSpec => ({
  ...spec,
  containers: spec.containers.map(change),
  ...(spec.initContainers ? { initContainers: spec.initContainers.map(change) } : {}),
  ...(spec.ephemeralContainers ? { ephemeralContainers: spec.ephemeralContainers.map(change) } : {}),
})

const capabilities = (allowed: readonly string[]): Allowance => {
  const names = new Set(allowed)
  return {
    checks: ['capabilities_baseline', 'capabilities_restricted'],
    relax: (spec) =>
      mapContainers(spec, (container) => {
        const context = container.securityContext
        const add = context?.capabilities?.add
        if (!add?.some((name) => names.has(name))) return container
        const rest = add.filter((name) => !names.has(name))
        return { ...container, securityContext: { ...context, capabilities: { ...context?.capabilities, add: rest } } }
      }),
    required: ({ path, required }) =>
      path.endsWith('.capabilities.add') ? `${required}, or ${describeList(allowed)}` : undefined,
  }
}

const hostPorts = (allowed: NonNullable<AdmissionProfileSpec['allowedHostPorts']>): Allowance => ({
  checks: ['hostPorts'],
  relax: (spec) =>
    mapContainers(spec, (container) =>
      container.ports
        ? {
            ...container,
            ports: container.ports.map((port) =>
              isInRanges(port.hostPort ?? 0, allowed) ? { ...port, hostPort: undefined } : port,
            ),
          }
        : container,
    ),
  required: ({ required }) => `${required}, or ${describeRanges(allowed)}`,
})

const volumeTypes = (allowed: readonly string[]): Allowance => {
  const types = new Set(allowed)
  return {
    checks: ['restrictedVolumes'],
    // Only the allowed type goes: what else a hostile volume holds beside it is still judged.
    relax: (spec) =>
      spec.volumes
        ? {
            ...spec,
            volumes: spec.volumes.map(
              (volume) => Object.fromEntries(Object.entries(volume).filter(([key]) => !types.has(key))) as Volume,
            ),
          }
        : spec,
    required: ({ required }) => `${required}, or ${describeList(allowed)}`,
  }
}

/** The allowances of a profile; host paths are not among them: a check of their own replaces the level's (`checks/allowedHostPaths.ts`). */
export const allowancesOf = (spec: AdmissionProfileSpec): readonly Allowance[] => [
  ...(spec.allowedCapabilities ? [capabilities(spec.allowedCapabilities)] : []),
  ...(spec.allowedHostPorts ? [hostPorts(spec.allowedHostPorts)] : []),
  ...(spec.allowedVolumeTypes ? [volumeTypes(spec.allowedVolumeTypes)] : []),
]

/** The check as the profile wants it: unchanged unless one of the allowances names it. */
export const loosen = (compiled: CompiledCheck, allowances: readonly Allowance[]): CompiledCheck =>
  allowances
    .filter(({ checks }) => checks.includes(compiled.id))
    .reduce<CompiledCheck>(
      ({ id, check }, { relax, required }) => ({
        id,
        check: (metadata, spec) =>
          check(metadata, relax(spec)).map((violation) => ({
            ...violation,
            required: required(violation) ?? violation.required,
          })),
      }),
      compiled,
    )
