import { DNS_LABEL } from '../kube/names.ts'
import { printable } from '../kube/text.ts'
import { isInside } from './hostPath.ts'
import type { AdmissionProfile, AdmissionProfileSpec, NumberRange } from './profile.ts'
import { isBuiltinProfile } from './registry.ts'

/**
 * Why a profile that can be read still makes no sense, one line each; empty: it may be used. A setting that could never have an effect
 * is refused as well: whoever wrote it believes that it has one. The CRD's CEL rules say the same where they can.
 * Linear but for the prefixes of host paths, which are at most 64. Never throws.
 */
export const contradictions = ({ name, spec }: AdmissionProfile): readonly string[] => [
  ...nameProblems(name),
  ...rangeProblems(spec),
  ...userProblems(spec),
  ...allowanceProblems(spec),
  ...hostPathProblems(spec),
]

const nameProblems = (name: string): readonly string[] => {
  if (isBuiltinProfile(name)) return [`metadata.name: ${name} is a built-in profile`]
  return DNS_LABEL.test(name)
    ? []
    : [
        `metadata.name: "${printable(name, 80)}" is no DNS label (small letters, digits, dashes; at most 63), and no namespace label could name it`,
      ]
}

const RANGE_FIELDS = ['allowedHostPorts', 'runAsUser', 'runAsGroup'] as const

const rangeProblems = (spec: AdmissionProfileSpec): readonly string[] =>
  RANGE_FIELDS.flatMap((field) =>
    (spec[field] ?? []).flatMap(({ min, max }, index) =>
      min > max ? [`spec.${field}[${index}]: is empty, min ${min} is larger than max ${max}`] : [],
    ),
  )

const isOnlyZero = (ranges: readonly NumberRange[] | undefined): boolean =>
  ranges !== undefined && ranges.every(({ min, max }) => min === 0 && max === 0)

const userProblems = ({ extends: { level }, runAsUser, hardening }: AdmissionProfileSpec): readonly string[] => {
  if (!isOnlyZero(runAsUser)) return []
  return [
    ...(hardening?.runAsNonRoot === true
      ? ['spec.runAsUser: holds only user 0, and hardening.runAsNonRoot injects that nobody is user 0']
      : []),
    ...(level === 'standard' || level === 'restricted'
      ? [`spec.runAsUser: holds only user 0, and ${level} forbids user 0`]
      : []),
  ]
}

const allowanceProblems = (spec: AdmissionProfileSpec): readonly string[] => {
  const { level } = spec.extends
  const useless = (field: keyof AdmissionProfileSpec, why: string): readonly string[] =>
    spec[field] === undefined ? [] : [`spec.${field}: changes nothing, ${why}`]
  const allowsAll = spec.allowedCapabilities?.includes('ALL') === true
  return [
    ...(level === 'privileged'
      ? (['allowedCapabilities', 'allowedHostPorts', 'allowedHostPathPrefixes'] as const).flatMap((field) =>
          useless(field, 'privileged forbids nothing'),
        )
      : []),
    ...(level === 'restricted'
      ? []
      : useless('allowedVolumeTypes', `${level} does not restrict volume types (only restricted does)`)),
    ...(allowsAll && level === 'restricted'
      ? ['spec.allowedCapabilities: allows adding ALL, and restricted requires dropping ALL']
      : []),
    ...(allowsAll && spec.hardening?.dropAllCapabilities === true
      ? ['spec.allowedCapabilities: allows adding ALL, and hardening.dropAllCapabilities drops ALL']
      : []),
  ]
}

const hostPathProblems = ({ extends: { level }, allowedHostPathPrefixes }: AdmissionProfileSpec): readonly string[] => {
  const prefixes = allowedHostPathPrefixes ?? []
  return [
    ...(level === 'restricted' && prefixes.length > 0
      ? ['spec.allowedHostPathPrefixes: restricted forbids every hostPath; extend standard or baseline']
      : []),
    ...prefixes.flatMap(({ path, readOnly }, index) => {
      const outer =
        readOnly === true ? prefixes.find((other) => other.readOnly !== true && isInside(path, other.path)) : undefined
      return outer === undefined
        ? []
        : [
            `spec.allowedHostPathPrefixes[${index}]: ${printable(path, 80)} is read-only inside ${printable(outer.path, 80)}, which may be written`,
          ]
    }),
  ]
}
