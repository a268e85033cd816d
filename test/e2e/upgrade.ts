import assert from 'node:assert/strict'

import { CHART } from '../cluster/chartTools.ts'
import { waitFor } from '../cluster/harness.ts'
import { installation, rolledOut } from './shared.ts'

/** The names of Drawbridge's pods, ending ones too. */
export const replicas = async (): Promise<readonly string[]> => {
  const names = ['-n', 'drawbridge', 'get', 'pods', '-o', 'jsonpath={.items[*].metadata.name}']
  return (await installation().cluster.must(names)).split(' ')
}

/**
 * Upgrades the release to these settings and no others, and waits until only replicas that know them are left: those that end still take
 * connections.
 *
 * @param settings `path=value`, as `helm --set` has them; none: the chart's defaults, as it was installed
 */
export async function upgrade(...settings: readonly string[]): Promise<void> {
  const drawbridge = installation()
  const sets = settings.flatMap((setting) => ['--set', setting])
  const { code, stderr } = drawbridge.helm(
    'upgrade',
    'drawbridge',
    CHART,
    '--namespace',
    'drawbridge',
    '--reset-values',
    ...sets,
  )
  assert.equal(code, 0, stderr)
  await rolledOut(drawbridge.cluster)
  await waitFor(async () => (await replicas()).length === 2, 60_000, 'the replicas of before to be gone')
}
