/** `drawbridge verdicts blocked`: who is short of pods because of a verdict. The first question when something does not come up. */
import type { NamespacePolicy } from '../policy/types.ts'
import { clean, EXIT, table } from './io.ts'
import type { CliIo } from './io.ts'
import { findWaysBack, waysBackText } from './rollbacks.ts'
import type { WayBack } from './rollbacks.ts'
import { NEVER_SENT } from './scan.ts'
import type { WorkloadAccess } from './workloadAccess.ts'

/** One image that keeps one workload from having its pods. */
interface Blocked {
  readonly namespace: string
  readonly workload: string
  readonly desired: number
  readonly ready: number
  readonly image: string
  readonly verdict: string
  /** What a pod with it is told. */
  readonly text: string
  /** The last good revision, where there is one. */
  readonly rollback?: WayBack | undefined
}

/** Runs the command; exit code 0 whether or not something is blocked. */
export async function listBlocked(
  options: { readonly output: 'table' | 'json' },
  access: WorkloadAccess,
  io: CliIo,
): Promise<number> {
  for (const note of access.notes) io.err(`drawbridge: ${clean(note)}\n`)
  if (access.brake !== 'enforce')
    io.err(`drawbridge: the brake is on (quarantine: ${access.brake}): no verdict denies anything now\n`)
  const blocked = access.brake === 'enforce' ? await findBlocked(access) : []
  const ownerOf = ({ namespace, workload }: Blocked): string => `${namespace}/${workload}`
  const ways = await findWaysBack(blocked.map(ownerOf), access.findFlagged, access, io)
  const items = blocked.map((item) => ({ ...item, rollback: ways.get(ownerOf(item)) }))
  if (options.output === 'json') io.out(`${JSON.stringify({ items }, undefined, 2)}\n`)
  else if (items.length === 0) io.out('No workload is short of pods because of a verdict.\n')
  else {
    const rows = items.map(({ namespace, workload, desired, ready, image, verdict }) => [
      namespace,
      workload,
      `${ready}/${desired}`,
      verdict,
      image,
    ])
    io.out(table(['NAMESPACE', 'WORKLOAD', 'READY', 'VERDICT', 'IMAGE'], rows) + waysBackText(ways))
  }
  return EXIT.ok
}

async function findBlocked(access: WorkloadAccess): Promise<readonly Blocked[]> {
  const labels = await access.namespaces()
  const policies = new Map<string, NamespacePolicy>()
  const policyOf = (namespace: string): NamespacePolicy => {
    const known = policies.get(namespace) ?? access.resolvePolicy(labels.get(namespace) ?? {})
    policies.set(namespace, known)
    return known
  }
  const blocked: Blocked[] = []
  for await (const page of access.workloads()) {
    for (const { namespace, kind, name, desired, ready, images } of page) {
      if (ready >= desired || namespace === NEVER_SENT || policyOf(namespace).quarantine !== 'enforce') continue
      for (const image of images) {
        const flagged = access.findFlagged(image, namespace)
        if (flagged?.phase !== 'denying') continue
        const { verdict, text } = flagged
        blocked.push({ namespace, workload: `${kind}/${name}`, desired, ready, image, verdict, text })
      }
    }
  }
  const key = ({ namespace, workload }: Blocked): string => `${namespace}/${workload}`
  return blocked.sort((left, right) => (key(left) < key(right) ? -1 : 1))
}
