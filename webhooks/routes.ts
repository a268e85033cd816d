/** Which path is answered by which endpoint: one path for each webhook entry, and two for calls by hand. */
import { entriesByPath } from '../src/kube/webhookEntries.ts'
import type { ReviewHandler } from '../src/server/reviewHandler.ts'
import type { AdmissionContext } from './context.ts'
import { createMutate } from './mutate.ts'
import { createValidate } from './validate.ts'

/**
 * The endpoints for reviews of pods and workloads, by path. `/mutate` and `/validate` belong to no entry: what is sent there is judged by
 * the labels in memory.
 *
 * @param podSecurityLabels whether upstream's labels are honoured
 */
export function reviewRoutes(
  context: AdmissionContext,
  podSecurityLabels: boolean,
): Readonly<Record<string, ReviewHandler>> {
  const ofEntries = [...entriesByPath(podSecurityLabels).values()]
    .filter(({ clusterScoped }) => clusterScoped === undefined)
    .map((entry) => [entry.path, (entry.type === 'mutating' ? createMutate : createValidate)(context, entry)] as const)
  return { '/mutate': createMutate(context), '/validate': createValidate(context), ...Object.fromEntries(ofEntries) }
}
