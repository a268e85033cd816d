/**
 * The brake: key `quarantine` of the ConfigMap `drawbridge` in Drawbridge's own namespace, so that kubectl alone stops all denials by verdicts.
 *
 * Watched, and read every two seconds besides: a connection that died without a word is noticed by a watch only after minutes, and this must work when
 * other things do not. While the API server cannot be asked, what was read last holds.
 */
import type { QuarantineMode } from '../../policy/types.ts'
import { readMode } from '../../verdicts/brake.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { listWatch } from './listWatch.ts'

export interface BrakeOptions {
  readonly client: Pick<KubernetesClient, 'request' | 'watch'>
  /** The namespace that Drawbridge runs in. */
  readonly namespace: string
  /** What holds where the ConfigMap or its key is absent. */
  readonly fallback: QuarantineMode
  /** The mode changed, or is first known; `problem`: the value is none, so `enforce` holds. */
  readonly onMode: (mode: QuarantineMode, problem: string | undefined) => void
  readonly onProblem?: ((message: string) => void) | undefined
  /** Milliseconds between two reads. Default 2,000. */
  readonly pollMs?: number | undefined
}

export interface Brake {
  /** From memory. */
  readonly mode: () => QuarantineMode
  stop(): Promise<void>
}

export const BRAKE_CONFIG_MAP = 'drawbridge'
export const BRAKE_KEY = 'quarantine'
const MAX_SHOWN = 40

interface Setting {
  readonly version: string
  /** Undefined: the key is absent. */
  readonly mode?: QuarantineMode | undefined
  readonly problem?: string | undefined
}

function toSetting(object: unknown): Setting | undefined {
  const { metadata, data } = (object ?? {}) as {
    readonly metadata?: { readonly name?: unknown; readonly resourceVersion?: unknown } | null
    readonly data?: Readonly<Record<string, unknown>> | null
  }
  if (metadata?.name !== BRAKE_CONFIG_MAP) return undefined
  const version = String(metadata.resourceVersion)
  const value = data?.[BRAKE_KEY]
  if (value === undefined || value === '') return { version }
  const mode = readMode(value)
  if (mode !== undefined) return { version, mode }
  const shown = JSON.stringify(value).slice(0, MAX_SHOWN)
  return { version, mode: 'enforce', problem: `${shown} is none of enforce, warn, off: enforce holds` }
}

/** One look at the brake, for the command line: `enforce` where it is not set, or may not be read. */
export async function readBrake(client: Pick<KubernetesClient, 'request'>, namespace: string): Promise<QuarantineMode> {
  try {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/${BRAKE_CONFIG_MAP}`
    return toSetting(await client.request('GET', path))?.mode ?? 'enforce'
  } catch (error) {
    if (error instanceof KubernetesError && (error.status === 403 || error.status === 404)) return 'enforce'
    throw error
  }
}

/** Starts to watch, and resolves when the brake was read once, or could not be: then `fallback` holds until it can. Never rejects. */
export async function watchBrake(options: BrakeOptions): Promise<Brake> {
  const { client, namespace, fallback, onProblem } = options
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`
  const key = `${namespace}/${BRAKE_CONFIG_MAP}`
  const told: { mode?: QuarantineMode; problem?: string | undefined; unreadable?: string | undefined } = {}

  const tell = (): void => {
    const setting = cache.get(key)
    const mode = setting?.mode ?? fallback
    if (told.mode === mode && told.problem === setting?.problem) return
    told.mode = mode
    told.problem = setting?.problem
    options.onMode(mode, setting?.problem)
  }
  const cache = listWatch<Setting>({
    client,
    path,
    // A role that names the object is enough for this selector.
    query: { fieldSelector: `metadata.name=${BRAKE_CONFIG_MAP}` },
    select: toSetting,
    onAdd: () => tell(),
    onUpdate: () => tell(),
    onDelete: () => tell(),
  })

  const read = async (): Promise<void> => {
    const before = cache.get(key)?.version
    try {
      cache.inject(await client.request('GET', `${path}/${BRAKE_CONFIG_MAP}`, { timeoutMs: 2000 }))
      told.unreadable = undefined
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      if (error instanceof KubernetesError && error.status === 404) {
        told.unreadable = undefined
        if (before !== undefined) cache.forget(key, before)
      } else if (told.unreadable !== problem) {
        told.unreadable = problem
        onProblem?.(
          `the brake (ConfigMap ${key}) cannot be read, ${cache.get(key)?.mode ?? fallback} holds: ${problem}`,
        )
      }
    }
  }

  const loop: { stopped: boolean; timer?: NodeJS.Timeout | undefined; reading: Promise<void> } = {
    stopped: false,
    reading: read(),
  }
  const next = (): void => {
    if (loop.stopped) return
    loop.timer = setTimeout(() => {
      loop.reading = read().then(next)
    }, options.pollMs ?? 2000)
    loop.timer.unref()
  }
  await loop.reading
  tell()
  next()

  return {
    mode: () => cache.get(key)?.mode ?? fallback,
    async stop() {
      loop.stopped = true
      clearTimeout(loop.timer)
      await loop.reading
      await cache.stop()
    },
  }
}
