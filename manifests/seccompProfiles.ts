/**
 * The seccomp profiles of manifests/seccomp: RuntimeDefault's list (runtimeDefault.ts) without some groups of system calls, each with its
 * reason. In the form of the OCI runtime specification, which containerd and CRI-O read from the kubelet's `seccomp` folder.
 *
 * An allow-list stays an allow-list: a call that the kernel learns tomorrow is denied. What is denied is written down all the same, with its
 * reason as `comment`; runtimes skip rules that say what the default says, and docs/seccomp.md is generated from them.
 */
import { RUNTIME_DEFAULT_SYSCALLS } from './runtimeDefault.ts'

type Action = 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO' | 'SCMP_ACT_LOG'

/** One comparison of an argument. For `SCMP_CMP_MASKED_EQ`, `value` is the mask and `valueTwo` what is left under it (absent: 0). */
export interface Comparison {
  /** Which argument, from 0. */
  readonly index: number
  readonly value: number
  readonly valueTwo?: number
  readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_LT' | 'SCMP_CMP_MASKED_EQ'
}

export interface SyscallRule {
  readonly names: readonly string[]
  readonly action: Action
  readonly errnoRet?: number
  readonly args?: readonly Comparison[]
  /** `GROUP: REASON`. No runtime reads it. */
  readonly comment?: string
}

export interface SeccompProfile {
  readonly defaultAction: 'SCMP_ACT_ERRNO'
  readonly defaultErrnoRet: number
  readonly architectures: readonly string[]
  readonly syscalls: readonly SyscallRule[]
}

const EPERM = 1
const ENOSYS = 38

/** CLONE_NEWTIME is not among them: its bit is part of clone's exit signal (linux/sched.h). */
const NEW_NAMESPACES = 0x7e02_0000
const PROT_WRITE = 2
const PROT_EXEC = 4
const SHM_EXEC = 0o100000

/** Part of one group: calls that are denied, whatever their arguments or where one argument has all of these bits. */
interface Denied {
  readonly names: readonly string[]
  readonly bits?: { readonly index: number; readonly mask: number }
  readonly reason: string
}

const OTHER_PROCESSES: Denied = {
  names: ['kcmp', 'pidfd_getfd', 'process_madvise', 'process_vm_readv', 'process_vm_writev', 'ptrace'],
  reason:
    'other processes: read and change the memory of another process, or take its open files: code injection, theft of keys. Debuggers, strace and some profilers need it',
}

const WEB: readonly Denied[] = [
  OTHER_PROCESSES,
  {
    names: [
      'chroot',
      'fsconfig',
      'fsmount',
      'fsopen',
      'fspick',
      'mount',
      'mount_setattr',
      'move_mount',
      'open_tree',
      'pivot_root',
      'quotactl',
      'quotactl_fd',
      'swapoff',
      'swapon',
      'umount2',
    ],
    reason:
      "mounts: the host's devices, /proc or a cgroup hierarchy come into a container by mounting them, release_agent escapes among them",
  },
  {
    names: ['setns', 'unshare'],
    reason:
      'namespaces: in a new user namespace every process has all capabilities, over kernel code that it could not reach otherwise. clone with a CLONE_NEW flag is denied too',
  },
  {
    // Not uretprobe: the kernel puts that call into processes that a sensor watches, and they die where it is denied.
    names: ['bpf', 'delete_module', 'finit_module', 'init_module', 'kexec_file_load', 'kexec_load', 'perf_event_open'],
    reason: 'kernel code: loads programs, modules or another kernel, or watches all processes of the machine',
  },
  {
    names: ['add_key', 'keyctl', 'request_key'],
    reason: "keys: the kernel's key rings are not kept apart by container",
  },
  {
    names: ['userfaultfd'],
    reason: 'page faults: whoever answers them holds the kernel where it copies memory, which wins races for exploits',
  },
  {
    names: ['io_uring_enter', 'io_uring_register', 'io_uring_setup'],
    reason: 'io_uring: does what other calls do without making them, so neither this filter nor most sensors see it',
  },
  {
    names: ['fanotify_init', 'open_by_handle_at'],
    reason: 'file handles: open or watch files of the host that no path of the container leads to',
  },
  {
    names: [
      'acct',
      'clock_settime',
      'ioperm',
      'iopl',
      'reboot',
      'setdomainname',
      'sethostname',
      'settimeofday',
      'syslog',
    ],
    reason: 'the machine: its clock, name, log, ports and power',
  },
]

const NO_NEW_EXEC_MEMORY: readonly Denied[] = [
  {
    names: ['execveat', 'memfd_create', 'memfd_secret'],
    reason:
      'memory files: a program that is in no file can be made and started, past every scan of the image (fileless execution)',
  },
  {
    names: ['mmap'],
    bits: { index: 2, mask: PROT_WRITE | PROT_EXEC },
    reason: 'executable memory: maps memory that can be written and executed',
  },
  {
    names: ['mprotect', 'pkey_mprotect'],
    bits: { index: 2, mask: PROT_EXEC },
    reason:
      'executable memory: makes memory executable that was written. Compilers at run time (Node, Java, .NET, LuaJIT) need it',
  },
  {
    names: ['shmat'],
    bits: { index: 2, mask: SHM_EXEC },
    reason: 'executable memory: attaches a shared segment that can be executed',
  },
]

interface Definition {
  readonly denied: readonly Denied[]
  /**
   * Whether 32-bit programs run. Where arguments are looked at they must not: `socketcall`, `ipc` and the old `mmap` pass theirs in memory,
   * which a filter cannot read. A 32-bit call then ends the process (SIGSYS).
   */
  readonly compat: boolean
}

const DEFINITIONS: Readonly<Record<string, Definition>> = {
  'no-ptrace': { denied: [OTHER_PROCESSES], compat: true },
  web: { denied: WEB, compat: false },
  'no-new-exec-memory': { denied: NO_NEW_EXEC_MEMORY, compat: false },
}

/** Every other value that an argument can have under the mask: the complement of "all of these bits". */
const otherValues = (mask: number): readonly number[] =>
  Array.from({ length: mask }, (_, value) => value).filter((value) => (value & mask) === value)

const masked = (index: number, mask: number, value: number): Comparison => ({
  index,
  value: mask,
  ...(value !== 0 && { valueTwo: value }),
  op: 'SCMP_CMP_MASKED_EQ',
})

const allow = (names: readonly string[], ...args: readonly Comparison[]): SyscallRule => ({
  names,
  action: 'SCMP_ACT_ALLOW',
  ...(args.length > 0 && { args }),
})

/** What RuntimeDefault allows only with some arguments. */
const CONDITIONAL: readonly SyscallRule[] = [
  { ...allow(['clone'], masked(0, NEW_NAMESPACES, 0)), comment: 'namespaces: without any CLONE_NEW flag' },
  {
    names: ['clone3'],
    action: 'SCMP_ACT_ERRNO',
    errnoRet: ENOSYS,
    comment:
      'namespaces: its flags are in memory, which a filter cannot read; told that it does not exist, C libraries use clone',
  },
  // PER_LINUX, PER_LINUX32, each with UNAME26, and the question which it is: none that makes readable memory executable.
  ...[0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff].map((value) =>
    allow(['personality'], { index: 0, value, op: 'SCMP_CMP_EQ' }),
  ),
  // Every family of sockets but AF_ALG (38, the kernel's crypto) and AF_VSOCK (40, the host of a virtual machine); none after 45.
  allow(['socket'], { index: 0, value: 38, op: 'SCMP_CMP_LT' }),
  ...[39, 41, 42, 43, 44, 45].map((value) => allow(['socket'], { index: 0, value, op: 'SCMP_CMP_EQ' })),
]

const isAllowedByDefault = (name: string): boolean => RUNTIME_DEFAULT_SYSCALLS.includes(name)

/** The rules of one group. `audit`: what RuntimeDefault allows is logged instead of denied; what it denies stays denied. */
function rulesFor({ names, bits, reason }: Denied, audit: boolean): readonly SyscallRule[] {
  const args = bits && [masked(bits.index, bits.mask, bits.mask)]
  const rule = (some: readonly string[], action: Action): readonly SyscallRule[] =>
    some.length === 0
      ? []
      : [
          {
            names: some,
            action,
            ...(action === 'SCMP_ACT_ERRNO' && { errnoRet: EPERM }),
            ...(args && { args }),
            comment: reason,
          },
        ]
  const logged = audit ? names.filter(isAllowedByDefault) : []
  return [
    ...rule(logged, 'SCMP_ACT_LOG'),
    ...rule(
      names.filter((name) => !logged.includes(name)),
      'SCMP_ACT_ERRNO',
    ),
    ...(bits === undefined
      ? []
      : otherValues(bits.mask).map((value) => allow(names, masked(bits.index, bits.mask, value)))),
  ]
}

const profile = ({ denied, compat }: Definition, audit: boolean): SeccompProfile => {
  const named = new Set(denied.flatMap(({ names }) => names))
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: [
      'SCMP_ARCH_X86_64',
      'SCMP_ARCH_AARCH64',
      // An audit variant must not end what it only watches.
      ...(compat || audit ? ['SCMP_ARCH_X86', 'SCMP_ARCH_X32', 'SCMP_ARCH_ARM'] : []),
    ],
    syscalls: [
      ...denied.flatMap((group) => rulesFor(group, audit)),
      ...CONDITIONAL,
      allow(RUNTIME_DEFAULT_SYSCALLS.filter((name) => !named.has(name))),
    ],
  }
}

/** Every profile by its name, `audit-NAME` beside each NAME. */
export const seccompProfiles: Readonly<Record<string, SeccompProfile>> = Object.fromEntries(
  Object.entries(DEFINITIONS).flatMap(([name, definition]) => [
    [name, profile(definition, false)],
    [`audit-${name}`, profile(definition, true)],
  ]),
)

/** A profile as its file holds it: one rule a line, so that a difference can be read. */
export function renderSeccompProfile({ syscalls, ...head }: SeccompProfile): string {
  const lines = Object.entries(head).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)},\n`)
  const rules = syscalls.map((rule) => `    ${JSON.stringify(rule)}`)
  return `{\n${lines.join('')}  "syscalls": [\n${rules.join(',\n')}\n  ]\n}\n`
}
