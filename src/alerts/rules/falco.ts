/**
 * Rules of Falco: all of falcosecurity/rules falco_rules.yaml (stable) and falco-incubating_rules.yaml, and the few of falco-sandbox_rules.yaml that
 * leave no doubt. Read at c72713ee2e63 (June 2026).
 */
import { rows, type ShippedRule } from './types.ts'

export const FALCO_STABLE: readonly ShippedRule[] = [
  ...rows([
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
  ]),
  {
    rule: 'Redirect STDOUT/STDIN to Network Connection in Container',
    class: 'reverse-shell',
    localShellClass: 'local-redirect',
  },
]

export const FALCO_INCUBATING: readonly ShippedRule[] = rows([
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
])

export const FALCO_SANDBOX: readonly ShippedRule[] = rows([
  ['Known Cryptominer Process Executed', 'miner'],
  ['Detect crypto miners using the Stratum protocol', 'miner'],
  ['Detect outbound connections to common miner pool ports', 'network'],
  ['Reverse Shell from Web Server', 'reverse-shell'],
  ['Web Server Spawned Shell', 'unexpected-process'],
  ['Web Server Spawned Suspicious Child Process', 'unexpected-process'],
  // A file became executable, nobody has run it: package managers and compilers do the same.
  ['Container Drift Detected (chmod)', 'drop', 60],
  ['Container Drift Detected (open+create)', 'drop', 60],
  ['Privileged Container Device Access', 'privileged'],
])
