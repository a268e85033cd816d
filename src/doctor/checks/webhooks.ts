/** Does the API server send what this version answers, entry by entry, and to one Drawbridge? */
import { differenceText, liveEntries, webhookDifferences } from '../../../manifests/differences.ts'
import type { Difference } from '../../../manifests/differences.ts'
import { REGISTRATION } from '../installation.ts'
import { at, nameIn, ok, problem, some, unknown, warning, word } from '../text.ts'
import type { Check, Finding, Installation } from '../types.ts'

const KINDS = ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'] as const

/** What applying the objects again does not take away: entries and fields that this version does not have. */
const isForeign = ({ field, wanted }: Difference): boolean =>
  (field === undefined && wanted === 'no such entry') ||
  (field !== undefined && ['not set', '{}', '[]'].includes(wanted))

async function others({ reader }: Installation): Promise<readonly Finding[]> {
  const lists = await Promise.all(
    KINDS.map(async (kind) => [kind, await reader.list(`${REGISTRATION}/${kind}`)] as const),
  )
  return lists.flatMap(([kind, list]) => {
    if (list.kind !== 'found')
      return [unknown(`whether there is a second Drawbridge: ${list.kind === 'absent' ? 'not told' : list.why}`)]
    const second = list.items.filter((item) => {
      const webhooks = at(item, 'webhooks')
      return (
        nameIn(item) !== 'drawbridge' &&
        Array.isArray(webhooks) &&
        webhooks.some((one) => String(at(one, 'name')).endsWith('.drawbridge.dev'))
      )
    })
    return second.map((item) =>
      problem(
        `the ${kind.replace(/s$/, '')} ${nameIn(item)} belongs to a second Drawbridge: pods are judged twice`,
        `kubectl delete ${kind.replace(/s$/, '')} ${word(nameIn(item))}`,
      ),
    )
  })
}

export const webhooks: Check = {
  id: 'webhooks',
  async run(installation) {
    const { configurations, configurationsWhy, namespace, repair } = installation
    if (configurations === undefined) return [unknown(`webhook configurations: ${configurationsWhy}`)]
    const differences = webhookDifferences(configurations, { ownNamespace: namespace })
    const anew = `kubectl delete validatingwebhookconfiguration,mutatingwebhookconfiguration drawbridge && ${repair}`
    const todo = differences.some(isForeign) ? anew : repair
    const found = [
      ...differences.map((difference) => {
        const text = differenceText(difference)
        // Longer waits and further warnings weaken nothing.
        return ['timeoutSeconds', 'admissionReviewVersions'].includes(difference.field ?? '')
          ? warning(text, todo)
          : problem(text, todo)
      }),
      ...(await others(installation)),
    ]
    if (found.length > 0) return found
    const endpoints = [...new Set(liveEntries(configurations).map(({ endpoint }) => endpoint))]
    return [ok(`${liveEntries(configurations).length} entries as this version registers them, at ${some(endpoints)}`)]
  },
}
