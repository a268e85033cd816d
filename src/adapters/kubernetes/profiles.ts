/** Every AdmissionProfile, from a watch; each is read and compiled once, when it appears or changes. */
import { DNS_LABEL, GROUP, VERSION } from '../../kube/names.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { listWatch } from './listWatch.ts'

export interface ProfilesOptions<T> {
  readonly client: Pick<KubernetesClient, 'request' | 'watch'>
  /** Makes what is kept of an object; problems say why it cannot be used. Must not throw. */
  readonly load: (object: unknown) => {
    readonly profile?: T | undefined
    readonly problems?: readonly string[] | undefined
  }
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** One came, changed or went. */
  readonly onChange?: (() => void) | undefined
  readonly onProblem?: ((message: string) => void) | undefined
}

export interface Profiles<T> {
  /** From memory; undefined: not known, or not usable. */
  readonly get: (name: string) => T | undefined
  /** All that are known and usable. */
  readonly list: () => readonly T[]
  /** One read of a name that memory does not know, at most once a second for each name. Never rejects: what is still unknown then stays unknown. */
  readonly read: (name: string) => Promise<void>
  /** Another number after every change: whoever keeps results that profiles went into must forget them then. */
  readonly generation: () => number
  readonly isSynced: () => boolean
  /** Seconds since the API server last said anything about them. */
  readonly age: () => number
  readonly synced: (timeoutMs: number) => Promise<void>
  readonly stop: () => Promise<void>
}

export const PROFILES_PATH = `/apis/${GROUP}/${VERSION}/admissionprofiles`
const READ_MILLISECONDS = 1500
const PAUSE_MILLISECONDS = 1000
/** Names of reads that are remembered; labels are people's, so there are few. */
const MAX_READS = 256

/** Starts to watch at once. */
export function watchProfiles<T extends object>(options: ProfilesOptions<T>): Profiles<T> {
  const { client, load, now, onProblem } = options
  const reads = new Map<string, { readonly at: number; readonly done: Promise<void> }>()
  let generation = 0
  const changed = (): void => {
    generation += 1
    options.onChange?.()
  }

  const select = (object: unknown): T | undefined => {
    const { profile, problems } = load(object)
    if (profile !== undefined) return profile
    const { metadata } = (object ?? {}) as { readonly metadata?: { readonly name?: unknown } | null }
    onProblem?.(`AdmissionProfile ${String(metadata?.name)} cannot be used: ${(problems ?? []).join('; ')}`)
    return undefined
  }
  const cache = listWatch<T>({
    client,
    path: PROFILES_PATH,
    select,
    onAdd: changed,
    onUpdate: changed,
    onDelete: changed,
    onProblem,
  })

  const read = async (name: string): Promise<void> => {
    try {
      cache.inject(await client.request('GET', `${PROFILES_PATH}/${name}`, { timeoutMs: READ_MILLISECONDS }))
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return
      onProblem?.(
        `AdmissionProfile ${name} could not be read: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }

  return {
    get: cache.get,
    list: () => [...cache.values()],
    read: (name) => {
      if (!DNS_LABEL.test(name)) return Promise.resolve()
      const last = reads.get(name)
      if (last !== undefined && now() - last.at < PAUSE_MILLISECONDS) return last.done
      const done = read(name)
      reads.delete(name)
      reads.set(name, { at: now(), done })
      const oldest = reads.keys().next()
      if (reads.size > MAX_READS && oldest.done !== true) reads.delete(oldest.value)
      return done
    },
    generation: () => generation,
    isSynced: cache.isSynced,
    age: cache.age,
    synced: async (timeoutMs) => {
      try {
        await cache.synced(timeoutMs)
      } catch (error) {
        if (!(error instanceof KubernetesError) || error.status !== 404) throw error
        throw new KubernetesError(
          404,
          error.reason,
          'the AdmissionProfile CRD is not installed: kubectl apply -f manifests/crds',
        )
      }
    },
    stop: cache.stop,
  }
}
