/** The pods of one namespace, page by page, straight from the API server: nothing keeps whole pods in memory. */
import { DNS_LABEL } from '../../kube/names.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'

export interface PodPage {
  readonly pods: readonly unknown[]
  /** Pods on later pages; undefined where the API server does not say. */
  readonly remaining: number | undefined
}

/**
 * Reads pods in pages of `pageSize`.
 *
 * @param remainingMs asked before each page: how long it may take, in milliseconds; none are read once it is not positive
 * @throws KubernetesError when the API server refuses, or does not answer in time (reason `Timeout`)
 */
export async function* listNamespacePods(
  client: KubernetesClient,
  namespace: string,
  pageSize: number,
  remainingMs: () => number,
): AsyncGenerator<PodPage> {
  if (!DNS_LABEL.test(namespace)) return
  let token: string | undefined
  do {
    const timeoutMs = Math.floor(remainingMs())
    if (timeoutMs < 1) throw new KubernetesError(0, 'Timeout', 'no time is left to read pods')
    const answer = (await client.request('GET', `/api/v1/namespaces/${namespace}/pods`, {
      query: { limit: String(pageSize), continue: token },
      timeoutMs,
    })) as {
      readonly items?: readonly unknown[] | null
      readonly metadata?: { readonly continue?: string; readonly remainingItemCount?: number }
    }
    token = answer.metadata?.continue || undefined
    yield { pods: answer.items ?? [], remaining: token === undefined ? 0 : answer.metadata?.remainingItemCount }
  } while (token !== undefined)
}
