/** helm and kubeconform for tests: built once from their Go modules by chartTools.sh, and kept outside the repository. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Outcome } from './harness.ts'

export interface ChartTools {
  helm(args: readonly string[], kubeconfig?: string): Outcome
  kubeconform(args: readonly string[], stdin: string): Outcome
}

const SCRIPT = join(import.meta.dirname, '../../../test/cluster/chartTools.sh')
const MAX_OUTPUT = 64 * 1024 * 1024

/**
 * The programs, built now if they are not there yet: a few minutes, which the script announces on stderr.
 * @throws Error when they cannot be built, with what Go said last
 */
export function chartTools(): ChartTools {
  const build = spawnSync('bash', [SCRIPT], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  if (build.status !== 0) throw new Error('test/cluster/chartTools.sh failed; it needs Go >= 1.25 and a Go module proxy')
  const bin = build.stdout.trim()
  // Nothing of the user's Helm: no plugins, no repositories, no cache.
  const home = mkdtempSync(join(tmpdir(), 'drawbridge-helm-'))
  const env = {
    ...process.env,
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
  }
  const run = (program: string, args: readonly string[], stdin: string, more: Readonly<Record<string, string>>): Outcome => {
    const { status, stdout, stderr, error } = spawnSync(join(bin, program), args, {
      encoding: 'utf8',
      input: stdin,
      env: { ...env, ...more },
      maxBuffer: MAX_OUTPUT,
    })
    if (error !== undefined) throw error
    return { code: status ?? -1, stdout, stderr }
  }
  return {
    // Without a kubeconfig Helm must not find the developer's own cluster.
    helm: (args, kubeconfig) => run('helm', args, '', { KUBECONFIG: kubeconfig ?? '/dev/null' }),
    kubeconform: (args, stdin) => run('kubeconform', args, stdin, {}),
  }
}
