/**
 * What a rule means for the image it fired in. Class: what happened. Subject: who is to blame. Weight: how much it counts, 50 warns, 100 denies.
 *
 * `image` weighs. `person` (somebody on call used `kubectl exec`) and `spec` (the manifest asked for it) are evidence of weight 0, unless `preset: strict`
 * counts them: an exec must not ban an image. Several rules share a class, so that one act seen by two rules is not counted twice.
 * Rules read: falcosecurity/rules rules/falco_rules.yaml, falco-incubating_rules.yaml, and the few of falco-sandbox_rules.yaml that leave no doubt.
 */
import type { RuntimeAlert } from './types.ts'

export type Subject = 'image' | 'person' | 'spec'

export interface Classification {
  readonly class: string
  readonly subject: Subject
  /** 0 (evidence only) to 1,000. */
  readonly weight: number
}

/** What a user may say of one rule in `drawbridge.yaml`; what is left out stays as shipped. */
export interface RuleOverride {
  readonly class?: string | undefined
  readonly subject?: Subject | undefined
  readonly weight?: number | undefined
}

export interface ClassifyOptions {
  /** `strict`: person and spec rules weigh STRICT_WEIGHT. Default `standard`. */
  readonly preset?: 'standard' | 'strict' | undefined
  /** By rule name. */
  readonly overrides?: ReadonlyMap<string, RuleOverride> | undefined
}

/** Under `preset: strict` one terminal shell or one privileged start denies the image: who asks for strict asks for that. */
export const STRICT_WEIGHT = 100

const MAX_WEIGHT = 1000

/** Class -> subject and weight, where a rule says nothing else. */
const CLASSES: ReadonlyMap<string, Omit<Classification, 'class'>> = new Map([
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
  ['shared-memory-execution', { subject: 'image', weight: 60 }],
  ['anti-debug', { subject: 'image', weight: 20 }],
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
  ['copy-out', { subject: 'person', weight: 0 }],
  ['user-management', { subject: 'person', weight: 0 }],
  ['privileged', { subject: 'spec', weight: 0 }],
  ['capabilities', { subject: 'spec', weight: 0 }],
  ['other', { subject: 'image', weight: 0 }],
])

/** Rule -> class: stable, incubating, then sandbox. A rule that is not here is `other`, weight 0. */
const RULES: ReadonlyMap<string, string> = new Map([
  ['Directory traversal monitored file read', 'sensitive-read'],
  ['Read sensitive file trusted after startup', 'sensitive-read'],
  ['Read sensitive file untrusted', 'sensitive-read'],
  ['Run shell untrusted', 'unexpected-process'],
  ['System user interactive', 'shell'],
  ['Terminal shell in container', 'shell'],
  ['Contact K8S API Server From Container', 'network'],
  ['Netcat Remote Code Execution in Container', 'reverse-shell'],
  ['Search Private Keys or Passwords', 'sensitive-read'],
  ['Clear Log Activities', 'clean-up'],
  ['Remove Bulk Data from Disk', 'clean-up'],
  ['Create Symlink Over Sensitive Files', 'sensitive-link'],
  ['Create Hardlink Over Sensitive Files', 'sensitive-link'],
  ['Packet socket created in container', 'network'],
  ['Redirect STDOUT/STDIN to Network Connection in Container', 'reverse-shell'],
  ['Linux Kernel Module Injection Detected', 'kernel-tampering'],
  ['Debugfs Launched in Privileged Container', 'kernel-tampering'],
  ['Detect release_agent File Container Escapes', 'escape'],
  ['PTRACE attached to process', 'ptrace-attach'],
  ['PTRACE anti-debug attempt', 'anti-debug'],
  ['Find AWS Credentials', 'sensitive-read'],
  ['Execution from /dev/shm', 'shared-memory-execution'],
  ['Drop and execute new binary in container', 'drop'],
  ['Disallowed SSH Connection Non Standard Port', 'network'],
  ['Fileless execution via memfd_create', 'fileless'],

  ['Modify Shell Configuration File', 'persistence'],
  ['Schedule Cron Jobs', 'persistence'],
  ['Read ssh information', 'sensitive-read'],
  ['DB program spawned process', 'unexpected-process'],
  ['Change thread namespace', 'privilege-change'],
  ['Change namespace privileges via unshare', 'privilege-change'],
  ['Launch Privileged Container', 'privileged'],
  ['Launch Excessively Capable Container', 'capabilities'],
  ['System procs network activity', 'network'],
  ['Program run with disallowed http proxy env', 'network'],
  ['Unexpected UDP Traffic', 'network'],
  ['Non sudo setuid', 'privilege-change'],
  ['User mgmt binaries', 'user-management'],
  ['Create files below dev', 'persistence'],
  ['Contact EC2 Instance Metadata Service From Container', 'discovery'],
  ['Contact cloud metadata service from container', 'discovery'],
  ['Launch Package Management Process in Container', 'package-manager'],
  ['Launch Suspicious Network Tool in Container', 'network'],
  ['Launch Suspicious Network Tool on Host', 'network'],
  ['Delete or rename shell history', 'shell'],
  ['Set Setuid or Setgid bit', 'privilege-change'],
  ['Launch Remote File Copy Tools in Container', 'network'],
  ['Network Connection outside Local Subnet', 'network'],
  ['Mount Launched in Privileged Container', 'privileged'],
  ['Launch Ingress Remote File Copy Tools in Container', 'network'],
  ['Read environment variable from /proc files', 'sensitive-read'],
  ['Exfiltrating Artifacts via Kubernetes Control Plane', 'copy-out'],
  ['Adding ssh keys to authorized_keys', 'persistence'],
  ['Potential Local Privilege Escalation via Environment Variables Misuse', 'privilege-change'],
  ['Backdoored library loaded into SSHD (CVE-2024-3094)', 'backdoor'],
  ['BPF Program Not Profiled', 'privilege-change'],

  ['Known Cryptominer Process Executed', 'miner'],
  ['Detect crypto miners using the Stratum protocol', 'miner'],
  ['Detect outbound connections to common miner pool ports', 'network'],
  ['Reverse Shell from Web Server', 'reverse-shell'],
  ['Web Server Spawned Shell', 'unexpected-process'],
  ['Web Server Spawned Suspicious Child Process', 'unexpected-process'],
  ['Container Drift Detected (chmod)', 'drop'],
  ['Container Drift Detected (open+create)', 'drop'],
  ['Privileged Container Device Access', 'privileged'],
])

/** Names of all classes and rules that ship, for documentation and for the check of a configuration. */
export const shippedClasses: readonly string[] = [...CLASSES.keys()]
export const shippedRules: ReadonlyMap<string, string> = RULES

/** Class, subject and weight of an alert: the shipped table, then the preset, then the user's override of this rule. Never throws. */
export function classify(alert: Pick<RuntimeAlert, 'rule'>, options: ClassifyOptions = {}): Classification {
  const override = options.overrides?.get(alert.rule)
  const name = override?.class ?? RULES.get(alert.rule) ?? 'other'
  const shipped = CLASSES.get(name) ?? { subject: 'image', weight: 0 }
  const subject = override?.subject ?? shipped.subject
  const counted = options.preset === 'strict' && subject !== 'image' ? STRICT_WEIGHT : shipped.weight
  const weight = override?.weight ?? counted
  return { class: name, subject, weight: Number.isFinite(weight) ? Math.min(Math.max(weight, 0), MAX_WEIGHT) : 0 }
}
