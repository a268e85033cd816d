/** What the command line reads and decides in a cluster, with the rights of whoever's kubeconfig it is. */
import type { ListedException } from '../../policy/exceptionUses.ts'
import type { Decision, ImageVerdict, Release } from '../../verdicts/types.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { connect } from './cluster.ts'
import { EXCEPTIONS_PATH, readListedException } from './exceptions.ts'
import { VERDICTS_PATH } from './imageVerdicts.ts'
import { readVerdictObject, toDecision, toRelease } from './verdictObject.ts'

/** Verdicts for the command line. */
export interface ClusterVerdicts {
  list(): Promise<readonly ImageVerdict[]>
  get(name: string): Promise<ImageVerdict | undefined>
  /** In the name that the API server knows the caller by; `by` where it does not say. */
  release(name: string, decision: Omit<Release, 'at'>): Promise<ImageVerdict | undefined>
  /** As release. */
  confirm(name: string, decision: Omit<Decision, 'at'>): Promise<ImageVerdict | undefined>
  close(): Promise<void>
}

/** Who the API server takes us for; undefined: it does not say (before 1.28, or not allowed). */
async function whoAmI(client: KubernetesClient): Promise<string | undefined> {
  try {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
    const review = await client.request('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { body })
    const { status } = review as { readonly status?: { readonly userInfo?: { readonly username?: unknown } } }
    const username = status?.userInfo?.username
    return typeof username === 'string' && username !== '' ? username : undefined
  } catch (error) {
    if (error instanceof KubernetesError && (error.status === 403 || error.status === 404)) return undefined
    throw error
  }
}

/** Reads, releases and confirms verdicts straight from the API server, with the rights of whoever's kubeconfig it is. */
export function openClusterVerdicts(kubeconfig: string): ClusterVerdicts {
  const client = connect(kubeconfig)
  const read = (object: unknown): ImageVerdict | undefined => {
    const reading = readVerdictObject(object, Date.now())
    return reading.kind === 'verdict' ? reading.verdict : undefined
  }
  const decide = async (
    name: string,
    { by, reason, until }: Omit<Decision, 'at'>,
    specOf: (said: Decision) => object,
  ): Promise<ImageVerdict | undefined> => {
    // The guard of verdicts (manifests/verdictGuard.ts) takes nobody else's name.
    const said = { by: (await whoAmI(client)) ?? by, reason, until, at: Date.now() }
    try {
      return read(
        await client.request('PATCH', `${VERDICTS_PATH}/${encodeURIComponent(name)}`, {
          contentType: 'application/merge-patch+json',
          body: { spec: specOf(said) },
        }),
      )
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return undefined
      throw error
    }
  }
  return {
    async list() {
      const { items = [] } = (await client.request('GET', VERDICTS_PATH)) as { readonly items?: readonly unknown[] }
      return items.flatMap((item) => read(item) ?? [])
    },
    async get(name) {
      try {
        return read(await client.request('GET', `${VERDICTS_PATH}/${encodeURIComponent(name)}`))
      } catch (error) {
        if (error instanceof KubernetesError && error.status === 404) return undefined
        throw error
      }
    },
    release: async (name, decision) =>
      decide(name, decision, (said) => ({ release: toRelease({ ...said, as: decision.as }) })),
    confirm: async (name, decision) => decide(name, decision, (said) => ({ confirm: toDecision(said) })),
    async close() {
      client.close()
    },
  }
}

/** Reads exceptions straight from the API server, with the rights of whoever's kubeconfig it is. */
export function openClusterExceptions(kubeconfig: string): {
  list(): Promise<readonly ListedException[]>
  close(): Promise<void>
} {
  const client = connect(kubeconfig)
  return {
    async list() {
      const { items = [] } = (await client.request('GET', EXCEPTIONS_PATH)) as { readonly items?: readonly unknown[] }
      return items.flatMap((item) => readListedException(item) ?? [])
    },
    async close() {
      client.close()
    },
  }
}
