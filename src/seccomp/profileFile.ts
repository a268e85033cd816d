/** A seccomp profile for nodes, read strictly: what is wrong with it shows here, and not when a container does not start. */
import { isObject } from '../kube/shape.ts'

/** `localhost.NAME` is a label value of at most 63 characters. */
const FILE_NAME = /^([a-z0-9](?:[-a-z0-9]{0,51}[a-z0-9])?)\.json$/u
/** A profile that lists every call has about 10 KiB. */
export const MAX_PROFILE_BYTES = 128 * 1024

/** Whatever a profile does not name must fail: with any other default it allows more than the RuntimeDefault that it replaces. */
const DEFAULTS: readonly unknown[] = [
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_TRAP',
]
const ACTIONS: readonly unknown[] = [...DEFAULTS, 'SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE', 'SCMP_ACT_NOTIFY']
/** What runc 1.1 knows of these: a container whose profile says another does not start. */
const ARCHITECTURES: readonly unknown[] =
  'X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE RISCV64 S390 S390X'
    .split(' ')
    .map((name) => `SCMP_ARCH_${name}`)
const COMPARISONS: readonly unknown[] = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map(
  (name) => `SCMP_CMP_${name}`,
)
const FLAGS: readonly unknown[] = ['TSYNC', 'LOG', 'SPEC_ALLOW'].map((name) => `SECCOMP_FILTER_FLAG_${name}`)
const MAX_ERRNO = 4095

const FIELDS = [
  'defaultAction',
  'defaultErrnoRet',
  'architectures',
  'flags',
  'listenerPath',
  'listenerMetadata',
  'syscalls',
]
const RULE_FIELDS = ['names', 'action', 'errnoRet', 'args']
const ARGUMENT_FIELDS = ['index', 'value', 'valueTwo', 'op']

/** The profile's name by the name of its file; undefined: not one. */
export const profileName = (file: string): string | undefined => FILE_NAME.exec(file)?.[1]

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'string' && one !== '')

const isWhole = (value: unknown, end: number): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < end
const isErrno = (value: unknown): boolean => value == null || isWhole(value, MAX_ERRNO + 1)

/** As Go's encoding/json compares the names of fields: `K` and `\u017f` are letters there. */
const folded = (name: string): string => name.toUpperCase().toLowerCase()

/** Go takes a field under any case, and the last one counts: what is checked here would not be what the runtime reads. */
function misread(object: object, fields: readonly string[]): string | undefined {
  for (const name of Object.keys(object)) {
    const field = fields.find((one) => folded(one) === folded(name))
    if (field !== undefined && field !== name) return `"${name}" is read as ${field}`
  }
  return undefined
}

/**
 * Why this text is no profile for a node; undefined: it is one. In the form of the OCI runtime specification, as containerd reads it: rules that
 * depend on capabilities or architectures (`includes`, `archMap`) would be ignored there, so they are refused. Pure; never throws.
 */
export function profileProblem(text: string): string | undefined {
  if (Buffer.byteLength(text) > MAX_PROFILE_BYTES) return `has more than ${MAX_PROFILE_BYTES} bytes`
  let profile: unknown
  try {
    profile = JSON.parse(text)
  } catch {
    return 'is not JSON'
  }
  if (!isObject(profile)) return 'is not an object'
  const other = misread(profile, FIELDS)
  if (other !== undefined) return other
  if (!DEFAULTS.includes(profile['defaultAction']))
    return 'defaultAction must deny (SCMP_ACT_ERRNO or a kill): with any other it allows more than RuntimeDefault'
  if (!isErrno(profile['defaultErrnoRet'])) return 'defaultErrnoRet is no errno'
  if ('archMap' in profile) return 'has archMap, which containerd ignores: list architectures'
  const { architectures, flags, syscalls } = profile
  if (!isTexts(architectures)) return 'architectures must be a list of names'
  const unknown = architectures.find((name) => !ARCHITECTURES.includes(name))
  if (unknown !== undefined) return `architectures has ${unknown}, which is none`
  if (flags != null && !(Array.isArray(flags) && flags.every((flag) => FLAGS.includes(flag))))
    return `flags must be a list of ${FLAGS.join(', ')}`
  if (!Array.isArray(syscalls) || syscalls.length === 0) return 'syscalls must be a list of rules'
  const hasListener = typeof profile['listenerPath'] === 'string' && profile['listenerPath'] !== ''
  for (const [index, rule] of syscalls.entries()) {
    const problem = ruleProblem(rule, hasListener)
    if (problem !== undefined) return `syscalls[${index}]${problem}`
  }
  return undefined
}

function ruleProblem(rule: unknown, hasListener: boolean): string | undefined {
  if (!isObject(rule) || !isTexts(rule['names'])) return '.names must be a list of system calls'
  const other = misread(rule, RULE_FIELDS)
  if (other !== undefined) return `: ${other}`
  if (!ACTIONS.includes(rule['action'])) return '.action is no action'
  if (rule['action'] === 'SCMP_ACT_NOTIFY' && !hasListener)
    return '.action asks a listener, and there is no listenerPath'
  if (!isErrno(rule['errnoRet'])) return '.errnoRet is no errno'
  if (rule['includes'] != null || rule['excludes'] != null) return ' has includes or excludes, which containerd ignores'
  const args = rule['args'] ?? []
  if (!Array.isArray(args)) return '.args must be a list'
  for (const [index, argument] of (args as readonly unknown[]).entries()) {
    const problem = argumentProblem(argument)
    if (problem !== undefined) return `.args[${index}]${problem}`
  }
  return undefined
}

function argumentProblem(argument: unknown): string | undefined {
  if (!isObject(argument)) return ' is not an object'
  const other = misread(argument, ARGUMENT_FIELDS)
  if (other !== undefined) return `: ${other}`
  if (!isWhole(argument['index'], 6)) return '.index must be 0 to 5'
  if (!isWhole(argument['value'], 2 ** 64)) return '.value must be a whole number of 64 bits'
  if (argument['valueTwo'] != null && !isWhole(argument['valueTwo'], 2 ** 64))
    return '.valueTwo must be a whole number of 64 bits'
  return COMPARISONS.includes(argument['op']) ? undefined : '.op is no comparison'
}
