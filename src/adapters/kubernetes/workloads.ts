/** Everything in a cluster that wants pods. */
import { readWorkload, WORKLOAD_KINDS } from '../../kube/workload.ts'
import type { Workload } from '../../kube/workload.ts'
import type { KubernetesClient } from './client.ts'
import { listPages } from './podPages.ts'

/** In pages, one kind after the other. Throws KubernetesError when one of them cannot be read. */
export async function* workloadPages(
  client: Pick<KubernetesClient, 'request'>,
  signal: AbortSignal,
): AsyncGenerator<readonly Workload[]> {
  for (const kind of WORKLOAD_KINDS) {
    for await (const page of listPages(client, kind.path, { signal }))
      yield page.flatMap((object) => readWorkload(kind, object) ?? [])
  }
}
