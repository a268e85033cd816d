/**
 * What a rule means for the image it fired in. Class: what happened. Subject: who is to blame. Weight: how much it counts, 50 warns, 100 denies.
 *
 * `image` weighs. `person` (somebody on call used `kubectl exec`) and `spec` (the manifest asked for it) are evidence of weight 0, unless `preset: strict`
 * counts them: an exec must not ban an image. Several rules share a class, so that one act seen by two rules is not counted twice, and so that two
 * detectors can agree. A rule is looked up for its own detector only: names of one sensor mean nothing in another.
 */
import { findOverride, type AttributedImage, type ConditionalOverride, type MatchedAlert } from './overrides.ts'
import { AUDIT, AUDIT_DEFAULT_CLASS, FALCO_K8S_AUDIT } from './rules/audit.ts'
import { FALCO_INCUBATING, FALCO_SANDBOX, FALCO_STABLE } from './rules/falco.ts'
import { TRACEE } from './rules/tracee.ts'
import type { ShippedRule } from './rules/types.ts'
import type { Detector, RuntimeAlert } from './types.ts'

export type Subject = 'image' | 'person' | 'spec'

export interface Classification {
  readonly class: string
  readonly subject: Subject
  /** 0 (evidence only) to 1,000. */
  readonly weight: number
}

/** What a user may say of a rule in `drawbridge.yaml`; what is left out stays as shipped. */
export interface RuleOverride {
  readonly class?: string | undefined
  readonly subject?: Subject | undefined
  readonly weight?: number | undefined
}

export interface ClassifyOptions {
  /** `strict`: person and spec rules weigh STRICT_WEIGHT, and no shell is taken for a health check. Default `standard`. */
  readonly preset?: 'standard' | 'strict' | undefined
  /** By rule name, of any detector. */
  readonly overrides?: ReadonlyMap<string, RuleOverride> | undefined
  /** By what the alert is and whose it is; the first that matches applies, and `overrides` only where none does. */
  readonly conditional?: readonly ConditionalOverride[] | undefined
}

/** What classification reads of an alert. Nothing of it says whose image it was: that is AttributedImage. */
export type ClassifiedAlert = MatchedAlert & Pick<RuntimeAlert, 'localShell'>

/** Under `preset: strict` one terminal shell or one privileged start denies the image: who asks for strict asks for that. */
export const STRICT_WEIGHT = 100

const MAX_WEIGHT = 1000

interface ShippedClass {
  readonly subject: Subject
  readonly weight: number
  /** Weight under `preset: strict`; absent: STRICT_WEIGHT for person and spec, else unchanged. */
  readonly strictWeight?: number | undefined
}

/** Class -> subject and weight, where a rule says nothing else. */
const CLASSES: ReadonlyMap<string, ShippedClass> = new Map<string, ShippedClass>([
  ['drop', { subject: 'image', weight: 100 }],
  ['fileless', { subject: 'image', weight: 100 }],
  ['reverse-shell', { subject: 'image', weight: 100 }],
  ['escape', { subject: 'image', weight: 100 }],
  ['code-injection', { subject: 'image', weight: 100 }],
  ['miner', { subject: 'image', weight: 100 }],
  ['backdoor', { subject: 'image', weight: 100 }],
  // Debuggers and crash reporters attach too: alone it warns.
  ['ptrace-attach', { subject: 'image', weight: 60 }],
  // Loading drivers and inspecting disks is some images' work, but no ordinary one's.
  ['kernel-tampering', { subject: 'image', weight: 60 }],
  ['library-hijack', { subject: 'image', weight: 60 }],
  ['shared-memory-execution', { subject: 'image', weight: 60 }],
  ['anti-debug', { subject: 'image', weight: 20 }],
  ['dynamic-code', { subject: 'image', weight: 20 }],
  ['local-redirect', { subject: 'image', weight: 20 }],
  ['runtime-socket', { subject: 'image', weight: 20 }],
  ['sensitive-read', { subject: 'image', weight: 20 }],
  ['sensitive-link', { subject: 'image', weight: 20 }],
  ['unexpected-process', { subject: 'image', weight: 20 }],
  // What well-behaved images do as well: kept as evidence beside something that weighs.
  ['discovery', { subject: 'image', weight: 0 }],
  ['network', { subject: 'image', weight: 0 }],
  ['persistence', { subject: 'image', weight: 0 }],
  ['clean-up', { subject: 'image', weight: 0 }],
  ['privilege-change', { subject: 'image', weight: 0 }],
  ['package-manager', { subject: 'image', weight: 0 }],
  ['shell', { subject: 'person', weight: 0 }],
  ['port-forward', { subject: 'person', weight: 0 }],
  ['debug-container', { subject: 'person', weight: 0 }],
  ['copy-out', { subject: 'person', weight: 0 }],
  ['user-management', { subject: 'person', weight: 0 }],
  // Nothing that an image does or is: strict does not count it either.
  ['cluster-administration', { subject: 'person', weight: 0, strictWeight: 0 }],
  ['privileged', { subject: 'spec', weight: 0 }],
  ['capabilities', { subject: 'spec', weight: 0 }],
  ['host-access', { subject: 'spec', weight: 0 }],
  ['other', { subject: 'image', weight: 0 }],
])

/**
 * Detector -> its rules. Falco reads the audit log too, by a plugin, so its alerts may name either. Rules of Tetragon and KubeArmor are policies that
 * their users name: nothing can ship for them.
 */
export const shippedRules: Readonly<Record<Detector, readonly ShippedRule[]>> = {
  falco: [...FALCO_STABLE, ...FALCO_INCUBATING, ...FALCO_SANDBOX, ...FALCO_K8S_AUDIT],
  tracee: TRACEE,
  'k8s-audit': [...AUDIT, ...FALCO_K8S_AUDIT],
  tetragon: [],
  kubearmor: [],
}

/** Names of all classes that ship, for documentation and for the check of a configuration. */
export const shippedClasses: readonly string[] = [...CLASSES.keys()]

const RULES: ReadonlyMap<string, ReadonlyMap<string, ShippedRule>> = new Map(
  Object.entries(shippedRules).map(([detector, rules]) => [
    detector,
    new Map(rules.flatMap((row) => [row.rule, ...(row.aliases ?? [])].map((name) => [name, row] as const))),
  ]),
)

/**
 * Class, subject and weight of an alert: the shipped table of its detector, then the preset, then the first override that matches. Never throws.
 *
 * `attributed` is the image that the alert was attributed to: in a cluster the cluster's word, never the alert's, because an attacker writes that. Without
 * it overrides by namespace or image do not match.
 */
export function classify(
  alert: ClassifiedAlert,
  options: ClassifyOptions = {},
  attributed?: AttributedImage,
): Classification {
  const override = findOverride(options.conditional ?? [], alert, attributed) ?? options.overrides?.get(alert.rule)
  return overridden(alert, options, override)
}

/** Whether the alert would weigh for some image: worth the wait for its container. */
export function mayWeigh(alert: ClassifiedAlert, options: ClassifyOptions = {}): boolean {
  if (classify(alert, options).weight > 0) return true
  return (options.conditional ?? []).some(
    (entry) => entry.matchesAlert(alert) && overridden(alert, options, entry.override).weight > 0,
  )
}

function overridden(
  alert: ClassifiedAlert,
  options: ClassifyOptions,
  override: RuleOverride | undefined,
): Classification {
  const shipped = shippedClassOf(alert, options)
  const name = override?.class ?? shipped.class
  const known = CLASSES.get(name) ?? { subject: 'image', weight: 0 }
  const subject = override?.subject ?? known.subject
  const normal = name === shipped.class ? (shipped.weight ?? known.weight) : known.weight
  const strict = known.strictWeight ?? (subject === 'image' ? normal : STRICT_WEIGHT)
  const weight = override?.weight ?? (options.preset === 'strict' ? strict : normal)
  return { class: name, subject, weight: Number.isFinite(weight) ? Math.min(Math.max(weight, 0), MAX_WEIGHT) : 0 }
}

function shippedClassOf(
  alert: ClassifiedAlert,
  options: ClassifyOptions,
): { readonly class: string; readonly weight?: number | undefined } {
  const row = RULES.get(alert.detector)?.get(alert.rule)
  if (row === undefined) return { class: alert.detector === 'k8s-audit' ? AUDIT_DEFAULT_CLASS : 'other' }
  const local = alert.localShell === true && options.preset !== 'strict'
  return local && row.localShellClass !== undefined ? { class: row.localShellClass } : row
}
