/** The programs that a cluster for tests is made of: where they are, how they are built, what the machine must have. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** What a program answered. `code` is -1 when a signal ended it. */
export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** There is no cluster and no way to make one here; the message says how to get one. */
export class NoClusterError extends Error {
  override readonly name = 'NoClusterError'
}

/** Where the scripts are; this file is compiled to another folder. */
export const HERE = join(import.meta.dirname, '../../../test/cluster')

/** Outside of the repository, one folder for each version of Kubernetes: what is built, and the clusters that run. */
export function cacheHome(): string {
  const base =
    process.env['CLUSTER_HOME'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'k8s-test-cluster')
  return join(base, process.env['K8S_VERSION'] ?? '1.35.4')
}

/** Runs a program to its end. `echo` copies its output, or only what it says on stderr, to our stderr while it runs: for what takes long. */
export function run(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; stdin?: string; echo?: 'all' | 'stderr' } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: options.env ?? process.env, stdio: ['pipe', 'pipe', 'pipe'] })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => {
      out.push(chunk)
      if (options.echo === 'all') process.stderr.write(chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      err.push(chunk)
      if (options.echo) process.stderr.write(chunk)
    })
    child.on('error', reject)
    child.on('close', (code) =>
      resolve({ code: code ?? -1, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    )
    // A program that does not read its input closes the pipe; its exit code says what happened.
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.stdin ?? '')
  })
}

/** What a node needs beside the programs of Kubernetes: command -> Debian package. */
const NODE_PROGRAMS: Readonly<Record<string, string>> = {
  containerd: 'containerd',
  runc: 'runc',
  nft: 'nftables',
  ip: 'iproute2',
  gcc: 'gcc libc6-dev',
  python3: 'python3',
}
export const NODE_KUBERNETES = ['kube-scheduler', 'kubelet', 'kube-proxy']

/** Why no node can run here; undefined: one can. */
export function noNodeBecause(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'a node needs root on Linux'
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(':')
  const packages = Object.entries(NODE_PROGRAMS)
    .filter(([program]) => !path.some((folder) => existsSync(join(folder, program))))
    .map(([, name]) => name)
  if (!existsSync('/usr/lib/cni/bridge')) packages.push('containernetworking-plugins')
  return packages.length === 0 ? undefined : `a node needs: apt-get install ${packages.join(' ')}`
}

/** The folder with the programs of the control plane and with `more`, built if need be. */
export async function programs(more: readonly string[]): Promise<{ readonly bin: string; readonly kubectl: string }> {
  const assets = more.length > 0 ? undefined : process.env['KUBEBUILDER_ASSETS']
  const built = join(cacheHome(), 'bin')
  if (assets !== undefined && assets !== '') {
    for (const program of ['etcd', 'kube-apiserver']) {
      if (!existsSync(join(assets, program)))
        throw new NoClusterError(`KUBEBUILDER_ASSETS=${assets} holds no ${program}`)
    }
    const own = join(built, 'kubectl')
    const kubectl = [own, join(assets, 'kubectl')].find((path) => existsSync(path))
    if (kubectl === undefined)
      throw new NoClusterError(`no kubectl in ${built} or ${assets}: run test/cluster/build.sh kubectl`)
    return { bin: assets, kubectl }
  }
  const needed = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl', ...more]
  const missing = needed.filter((program) => !existsSync(join(built, program)))
  if (missing.length > 0) {
    if (spawnSync('go', ['version'], { stdio: 'ignore' }).status !== 0) {
      throw new NoClusterError(
        'no API server to test against: install Go >= 1.25 (it is then built, once), or set KUBEBUILDER_ASSETS to envtest binaries, or KUBECONFIG with DRAWBRIDGE_TEST_CLUSTER=yes',
      )
    }
    process.stderr.write(`Building ${missing.join(', ')} into ${built} (once; 6 to 12 minutes on two cores)\n`)
    const build = await run('bash', [join(HERE, 'build.sh'), ...missing], { echo: 'all' })
    if (build.code !== 0)
      throw new NoClusterError(`the build of ${missing.join(', ')} failed: ${build.stderr.slice(-500)}`)
  }
  return { bin: built, kubectl: join(built, 'kubectl') }
}
