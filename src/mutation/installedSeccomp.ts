import { reportedName } from '../kube/nodeReport.ts'
import { nodesOf } from '../kube/nodes.ts'
import type { KnownNode } from '../kube/nodes.ts'
import { isObject } from '../kube/shape.ts'
import { printable } from '../kube/text.ts'
import type { SeccompSetting } from './types.ts'

const MAX_NAMED = 2
const MAX_NAME = 36

export interface InstalledSeccomp {
  readonly setting: SeccompSetting
  /** Why it is not the one that was asked for: one line for whoever creates the pod. */
  readonly warning?: string
}

/**
 * The seccomp profile to inject, given what is installed where: one of Drawbridge's profiles only if every node that the pod may be scheduled to
 * has it. A container whose profile is missing does not start, so in all other cases, nothing known among them, it is RuntimeDefault and a warning.
 *
 * @param pod as the review has it; one that names a profile of its own, or is no pod, is left to the others
 * @param nodes every node; undefined: nobody reports, and the profiles are taken to be where they are needed
 */
export const installedSeccomp = (
  pod: unknown,
  setting: SeccompSetting,
  nodes: Iterable<KnownNode> | undefined,
): InstalledSeccomp => {
  const name = setting?.type === 'Localhost' ? reportedName(setting.localhostProfile) : undefined
  const spec = isObject(pod) ? pod['spec'] : undefined
  const context = isObject(spec) ? spec['securityContext'] : undefined
  if (name === undefined || nodes === undefined || (isObject(context) && context['seccompProfile'] != null))
    return { setting }
  const mayRunOn = nodesOf(spec)
  let candidates = 0
  const lacking: string[] = []
  for (const node of nodes) {
    if (!mayRunOn(node)) continue
    candidates += 1
    if (!node.seccompProfiles.has(name)) lacking.push(node.name)
  }
  if (candidates > 0 && lacking.length === 0) return { setting }
  const named = lacking
    .slice(0, MAX_NAMED)
    .map((node) => printable(node, MAX_NAME))
    .join(', ')
  const where =
    candidates === 0
      ? 'no node is known that this pod may run on'
      : `${lacking.length} of ${candidates} nodes that this pod may run on lack it: ${named}${lacking.length > MAX_NAMED ? ', ...' : ''}`
  return {
    setting: { type: 'RuntimeDefault' },
    warning: `drawbridge: RuntimeDefault instead of the seccomp profile "${printable(name, MAX_NAME)}": ${where}`,
  }
}
