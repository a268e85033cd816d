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

/** The profile's name by the name of its file; undefined: not one. */
export const profileName = (file: string): string | undefined => FILE_NAME.exec(file)?.[1]

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'string' && one !== '')

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
  if (!DEFAULTS.includes(profile['defaultAction']))
    return 'defaultAction must deny (SCMP_ACT_ERRNO or a kill): with any other it allows more than RuntimeDefault'
  if ('archMap' in profile) return 'has archMap, which containerd ignores: list architectures'
  if (!isTexts(profile['architectures'])) return 'architectures must be a list of names'
  if (!Array.isArray(profile['syscalls']) || profile['syscalls'].length === 0) return 'syscalls must be a list of rules'
  for (const [index, rule] of profile['syscalls'].entries()) {
    const at = `syscalls[${index}]`
    if (!isObject(rule) || !isTexts(rule['names'])) return `${at}.names must be a list of system calls`
    if (!ACTIONS.includes(rule['action'])) return `${at}.action is no action`
    if (rule['includes'] != null || rule['excludes'] != null)
      return `${at} has includes or excludes, which containerd ignores`
  }
  return undefined
}
