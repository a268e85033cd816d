/** AdmissionProfile objects among others, ready to judge by. */
import { printable } from '../kube/text.ts'
import { loadProfile, type CompiledProfile } from '../policy/compileProfile.ts'
import { PROFILE_API_VERSION, PROFILE_KIND } from '../policy/profile.ts'
import { BUILTIN_PROFILES } from '../policy/registry.ts'
import { UnusableError } from './io.ts'
import { nearest } from './misspelt.ts'
import { readObjects } from './objects.ts'
import type { FoundObject } from './objects.ts'

/**
 * Name -> profile, for every AdmissionProfile object. Throws UnusableError, one line for each problem, for one that cannot be read,
 * contradicts itself, or has the name of another: offline nobody has refused it before.
 */
export function profilesAmong(objects: readonly FoundObject[]): Map<string, CompiledProfile> {
  const found = new Map<string, CompiledProfile>()
  const problems: string[] = []
  for (const { file, object } of objects) {
    if (object.kind !== PROFILE_KIND || object.apiVersion.split('/')[0] !== PROFILE_API_VERSION.split('/')[0]) continue
    const { metadata } = object as { readonly metadata?: { readonly name?: unknown } | null }
    const who = `${file}: AdmissionProfile ${printable(String(metadata?.name), 80)}`
    const loaded = loadProfile(object)
    if (loaded.profile === undefined) problems.push(...loaded.problems.map((problem) => `${who}: ${problem}`))
    else if (found.has(loaded.profile.name)) problems.push(`${who}: there is another one with this name`)
    else found.set(loaded.profile.name, loaded.profile)
  }
  if (problems.length > 0) throw new UnusableError(problems.join('\n'))
  return found
}

/**
 * Throws UnusableError for a `--profile` that is neither built in nor one of `others`. In a cluster a label that names nobody enforces restricted; who
 * types a name wants to hear of the slip.
 */
export function refuseUnknownProfile(name: string, others: Iterable<string>): void {
  const known = [...BUILTIN_PROFILES, ...[...others].sort()]
  if (known.includes(name)) return
  const near = nearest(name, known)
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  const shown = known.length > MAX_KNOWN ? `${known.slice(0, MAX_KNOWN).join(', ')}, ...` : known.join(', ')
  throw new UnusableError(`--profile ${printable(name, 80)}: no such profile${hint} (known: ${shown})`)
}

/** Names of profiles in one line. */
const MAX_KNOWN = 30

/** Reads a file or folder of AdmissionProfile objects. */
export async function readProfiles(path: string): Promise<Map<string, CompiledProfile>> {
  return profilesAmong(
    await readObjects([path], { readStdin: () => Promise.reject(new UnusableError('standard input is not a file')) }),
  )
}
