/**
 * Capabilities beyond the runtime's default set, each with what it really gives away. The denial quotes the reason, so it is short:
 * a violation must fit into a warning. Most dangerous first.
 *
 * Source: capabilities(7), https://man7.org/linux/man-pages/man7/capabilities.7.html
 */
export const DANGEROUS_CAPABILITIES: ReadonlyMap<string, string> = new Map([
  ['ALL', 'every capability there is'],
  ['SYS_ADMIN', 'mounts and namespaces, nearly root'],
  ['SYS_MODULE', 'loads kernel modules'],
  ['SYS_RAWIO', 'reaches memory and disks directly'],
  ['BPF', 'loads programs into the kernel'],
  ['SYS_PTRACE', 'reads and changes other processes'],
  ['DAC_READ_SEARCH', 'reads every file of the node'],
  ['PERFMON', 'watches kernel and other processes'],
  ['CHECKPOINT_RESTORE', 'reads the memory maps of others'],
  ['NET_ADMIN', 'changes network and firewall'],
  ['NET_RAW', 'forges and sniffs packets'],
  ['MAC_ADMIN', 'changes the access rules of AppArmor'],
  ['MAC_OVERRIDE', 'passes mandatory access control'],
  ['SYSLOG', 'reads kernel addresses and messages'],
  ['SYS_BOOT', 'restarts the node'],
  ['SYS_TIME', 'sets the clock of the node'],
  ['AUDIT_CONTROL', 'switches auditing off'],
  ['AUDIT_READ', 'reads the audit log of the node'],
  ['IPC_OWNER', 'reads shared memory of others'],
  ['LINUX_IMMUTABLE', 'changes protected files'],
  ['SYS_RESOURCE', 'passes limits and quotas'],
  ['SYS_NICE', 'starves other processes'],
  ['SYS_PACCT', 'switches process accounting'],
  ['SYS_TTY_CONFIG', 'controls terminals of the node'],
  ['IPC_LOCK', 'locks memory beyond limits'],
  ['LEASE', 'blocks files of others'],
  ['NET_BROADCAST', 'sends multicast'],
  ['BLOCK_SUSPEND', 'keeps the node awake'],
  ['WAKE_ALARM', 'wakes the node'],
])

/** The runtime's default set, which Pod Security baseline allows (`checks/capabilities_baseline.ts`). */
export const DEFAULT_CAPABILITIES: ReadonlySet<string> = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
])

/** Whether Linux knows a capability by this name (written without `CAP_`, as in pods), or it is `ALL`. */
export const isCapability = (name: string): boolean =>
  DANGEROUS_CAPABILITIES.has(name) || DEFAULT_CAPABILITIES.has(name)

/**
 * What to do about added capabilities, naming the worst of them and why it is dangerous:
 * `remove it from add (SYS_ADMIN: mounts and namespaces, nearly root)`.
 */
export const removalAdvice = (names: readonly string[]): string => {
  const added = new Set(names)
  for (const [name, reason] of DANGEROUS_CAPABILITIES) {
    if (added.has(name)) return `remove it from add (${name}: ${reason})`
  }
  return 'remove it from add'
}
