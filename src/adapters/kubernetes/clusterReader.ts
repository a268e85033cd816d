/** What `drawbridge doctor` asks of the API server, with the rights of whoever's kubeconfig it is. Everything is a read, a review or a dry run. */
import type { ClusterReader, ListReading, Reading } from '../../doctor/types.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { listPages } from './podPages.ts'
import { readReplicaMetrics } from './replicaMetrics.ts'

const TIMEOUT_MILLISECONDS = 10_000
/** Longer than the timeout of our webhooks, so that the API server's own words are heard. */
const DRY_RUN_MILLISECONDS = 20_000

const refusal = (
  error: unknown,
): { readonly kind: 'absent' } | { readonly kind: 'unreadable'; readonly why: string } => {
  const { message } = error as Error
  if (!(error instanceof KubernetesError)) return { kind: 'unreadable', why: message }
  if (error.status === 404) return { kind: 'absent' }
  // "secrets "x" is forbidden: User "y" cannot get resource ...": the part that says which right.
  const right = /cannot ([a-z]+) resource "([^"]+)" in API group "([^"]*)"(?:[^"]*in the namespace "([^"]+)")?/.exec(
    message,
  )
  if (error.status !== 403 || right === null) return { kind: 'unreadable', why: message }
  const [, verb, resource, group, namespace] = right
  const of = group === '' ? '' : `.${group}`
  return {
    kind: 'unreadable',
    why: `needs the right to ${verb} ${resource}${of}${namespace === undefined ? '' : ` in ${namespace}`}`,
  }
}

/** No function of it rejects. */
export function createClusterReader(client: KubernetesClient): ClusterReader {
  return {
    async get(path): Promise<Reading> {
      try {
        return { kind: 'found', object: await client.request('GET', path, { timeoutMs: TIMEOUT_MILLISECONDS }) }
      } catch (error) {
        return refusal(error)
      }
    },
    async list(path): Promise<ListReading> {
      const items: unknown[] = []
      try {
        for await (const page of listPages(client, path)) items.push(...page)
        return { kind: 'found', items }
      } catch (error) {
        return refusal(error)
      }
    },
    async dryRun(path, body) {
      try {
        await client.request('POST', path, { query: { dryRun: 'All' }, body, timeoutMs: DRY_RUN_MILLISECONDS })
        return { status: 201, message: '' }
      } catch (error) {
        return { status: error instanceof KubernetesError ? error.status : 0, message: (error as Error).message }
      }
    },
    async mayDo({ user, groups }, { verb, group, resource, subresource, name, namespace }) {
      const body = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user,
          groups,
          resourceAttributes: { verb, group, version: '*', resource, subresource, name, namespace },
        },
      }
      try {
        const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews'
        const review = await client.request('POST', path, { body, timeoutMs: TIMEOUT_MILLISECONDS })
        const { status } = review as { readonly status?: { readonly allowed?: unknown } }
        return status?.allowed === true
      } catch {
        return undefined
      }
    },
    async whoAmI() {
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
      try {
        const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
        const { status } = (await client.request('POST', path, { body, timeoutMs: TIMEOUT_MILLISECONDS })) as {
          readonly status?: { readonly userInfo?: { readonly username?: string; readonly groups?: readonly string[] } }
        }
        const { username, groups = [] } = status?.userInfo ?? {}
        return username === undefined ? undefined : { user: username, groups }
      } catch {
        return undefined
      }
    },
    replicas: (namespace) => readReplicaMetrics(client, namespace),
  }
}
