/**
 * Findings of Tracee by event name: aquasecurity/tracee signatures/golang (to v0.24.1) and detectors/ (after it, read at 7c9ec9788ec5), with the names
 * that people may write and the ids; those below TRC-100 are of the Rego signatures, which v0.8 to v0.20 had.
 */
import type { ShippedRule } from './types.ts'

type Line = readonly [event: string, aliases: readonly string[], name: string, weight?: number]

const LINES: readonly Line[] = [
  [
    'stdio_over_socket',
    ['TRC-101', 'TRC-1', 'Process standard input/output over socket detected', 'Standard Input/Output Over Socket'],
    'reverse-shell',
  ],
  ['anti_debugging', ['TRC-102', 'TRC-2', 'Anti-Debugging detected', 'Anti-Debugging'], 'anti-debug'],
  ['ptrace_code_injection', ['TRC-103', 'Code injection detected using ptrace'], 'code-injection'],
  ['code_injection', ['TRC-3', 'Code injection'], 'code-injection'],
  // Every just-in-time compiler makes written memory executable.
  [
    'dynamic_code_loading',
    ['TRC-104', 'TRC-4', 'Dynamic code loading detected', 'Dynamic Code Loading'],
    'dynamic-code',
  ],
  ['fileless_execution', ['TRC-105', 'TRC-5', 'Fileless execution detected', 'Fileless Execution'], 'fileless'],
  // systemd and container engines inside containers write it; release_agent they do not.
  ['cgroup_notify_on_release', ['TRC-106', 'Cgroups notify_on_release file modification'], 'escape', 60],
  // Also the environment variable, which images set for another allocator.
  ['ld_preload', ['TRC-107', 'TRC-7', 'LD_PRELOAD code injection detected', 'LD_PRELOAD'], 'library-hijack', 20],
  // Every controller reads its own token.
  ['k8s_service_account_token', ['TRC-108', 'K8s service account token file read'], 'discovery'],
  ['aslr_inspection', ['TRC-109', 'ASLR inspection detected'], 'discovery'],
  [
    'cgroup_release_agent',
    ['TRC-1010', 'TRC-14', 'Cgroups release agent file modification', 'CGroups Release Agent File Modification'],
    'escape',
  ],
  // Images that tune nodes write the same two files.
  ['core_pattern_modification', ['TRC-1011', 'Core dumps configuration file modification detected'], 'escape', 60],
  ['system_request_key_mod', ['TRC-1031', 'System request key configuration modification'], 'escape', 60],
  // A package manager that updates the C library replaces the loader.
  ['default_loader_mod', ['TRC-1012', 'Default dynamic loader modification detected'], 'library-hijack'],
  ['k8s_api_connection', ['TRC-1013', 'TRC-13', 'Kubernetes API server connection detected'], 'network'],
  // Storage drivers mount disks.
  [
    'disk_mount',
    ['TRC-1014', 'TRC-11', 'Container device mount detected', 'Container Device Mount Detected'],
    'escape',
    60,
  ],
  // An executable was written, nobody has run it: package managers and compilers do the same.
  ['hidden_file_created', ['TRC-1015', 'Hidden executable creation detected'], 'drop', 60],
  [
    'dropped_executable',
    ['TRC-1022', 'TRC-9', 'New executable dropped', 'New Executable Was Dropped During Runtime'],
    'drop',
    60,
  ],
  [
    'illegitimate_shell',
    ['TRC-1016', 'TRC-12', 'Web server spawned a shell', 'Illegitimate Shell'],
    'unexpected-process',
  ],
  [
    'kernel_module_loading',
    ['TRC-1017', 'TRC-6', 'Kernel module loading detected', 'kernel module loading'],
    'kernel-tampering',
  ],
  [
    'k8s_cert_theft',
    ['TRC-1018', 'TRC-10', 'K8s TLS certificate theft detected', 'K8S TLS Certificate Theft Detected'],
    'sensitive-read',
  ],
  ['docker_abuse', ['TRC-1019', 'Docker socket abuse detected'], 'runtime-socket'],
  [
    'proc_fops_hooking',
    [
      'TRC-1020',
      'TRC-16',
      'File operations hooking on proc filesystem detected',
      'Hooking proc file system file operations by overriding the function pointers',
    ],
    'kernel-tampering',
  ],
  ['proc_kcore_read', ['TRC-1021', 'Kcore memory file read'], 'kernel-tampering'],
  ['proc_mem_access', ['TRC-1023', 'Process memory access detected'], 'ptrace-attach'],
  ['proc_mem_code_injection', ['TRC-1024', 'Code injection detected through /proc/<pid>/mem file'], 'code-injection'],
  [
    'process_vm_write_inject',
    ['TRC-1025', 'Code injection detected using process_vm_writev syscall'],
    'code-injection',
  ],
  ['rcd_modification', ['TRC-1026', 'Rcd modification detected'], 'persistence'],
  ['scheduled_task_mod', ['TRC-1027', 'Scheduled tasks modification detected'], 'persistence'],
  ['sudoers_modification', ['TRC-1028', 'Sudoers file modification detected'], 'persistence'],
  ['sched_debug_recon', ['TRC-1029', 'sched_debug CPU file was read'], 'discovery'],
  // What is wrong is the node's kernel; the container that was running when it was noticed need not be the one that did it.
  [
    'syscall_hooking',
    [
      'TRC-1030',
      'TRC-15',
      'Syscall table hooking detected',
      'Hooking system calls by overriding the system call table entries',
    ],
    'kernel-tampering',
  ],
  ['hooked_syscall_detector', ['DRV-002', 'Syscall Table Hooking Detected'], 'kernel-tampering'],
  ['hooked_seq_ops_detector', ['DRV-003', 'Network Seq_ops Hooking Detected'], 'kernel-tampering'],
]

export const TRACEE: readonly ShippedRule[] = LINES.map(([rule, aliases, name, weight]) => ({
  rule,
  aliases,
  class: name,
  ...(weight === undefined ? {} : { weight }),
  ...(name === 'reverse-shell' ? { localShellClass: 'local-redirect' } : {}),
}))
