/** helm and kubeconform for tests: built once from their Go modules by chartTools.sh, and kept outside the repository. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { loadAll } from 'js-yaml'

import { manifestsDirectory } from '../../manifests/render.ts'
import { root } from '../docs/markdown.ts'
import type { Outcome } from './harness.ts'

export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly [field: string]: unknown
}

export const CHART = join(manifestsDirectory(), 'chart')
const EXAMPLES = join(root, 'examples/chart')
/** Names of values files that people start from; undefined: the defaults. */
export const VALUES: readonly (string | undefined)[] = [undefined, ...readdirSync(EXAMPLES).sort()]

/** Helm's arguments for one of VALUES. */
export const valuesOf = (file: string | undefined): readonly string[] =>
  file === undefined ? [] : ['--values', join(EXAMPLES, file)]

export const objectsOf = (text: string): readonly KubernetesObject[] =>
  (loadAll(text) as (KubernetesObject | null)[]).filter((object) => object !== null)

export const idOf = ({ apiVersion, kind, metadata }: KubernetesObject): string =>
  `${apiVersion}/${kind}/${metadata.name}`

export interface ChartTools {
  /** The folder of the programs. */
  readonly bin: string
  helm(args: readonly string[], kubeconfig?: string): Outcome
  kubeconform(args: readonly string[], stdin: string): Outcome
  /** What `helm template` gives for the release `drawbridge`. Fails with what Helm says. */
  template(args: readonly string[], namespace?: string): string
}

const SCRIPT = join(import.meta.dirname, '../../../test/cluster/chartTools.sh')
const MAX_OUTPUT = 64 * 1024 * 1024

/**
 * The programs, built now if they are not there yet: a few minutes, which the script announces on stderr.
 * @throws Error when they cannot be built, with what Go said last
 */
export function chartTools(): ChartTools {
  const build = spawnSync('bash', [SCRIPT], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  if (build.status !== 0)
    throw new Error('test/cluster/chartTools.sh failed; it needs Go >= 1.25 and a Go module proxy')
  const bin = build.stdout.trim()
  // Nothing of the user's Helm: no plugins, no repositories, no cache.
  const home = mkdtempSync(join(tmpdir(), 'drawbridge-helm-'))
  const env = {
    ...process.env,
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
  }
  const run = (
    program: string,
    args: readonly string[],
    stdin: string,
    more: Readonly<Record<string, string>>,
  ): Outcome => {
    const { status, stdout, stderr, error } = spawnSync(join(bin, program), args, {
      encoding: 'utf8',
      input: stdin,
      env: { ...env, ...more },
      maxBuffer: MAX_OUTPUT,
    })
    if (error !== undefined) throw error
    return { code: status ?? -1, stdout, stderr }
  }
  // Without a kubeconfig Helm must not find the developer's own cluster.
  const helm: ChartTools['helm'] = (args, kubeconfig) =>
    run('helm', args, '', { KUBECONFIG: kubeconfig ?? '/dev/null' })
  return {
    bin,
    helm,
    kubeconform: (args, stdin) => run('kubeconform', args, stdin, {}),
    template(args, namespace = 'drawbridge') {
      const { code, stdout, stderr } = helm(['template', 'drawbridge', CHART, '--namespace', namespace, ...args])
      if (code !== 0) throw new Error(stderr)
      return stdout
    },
  }
}
