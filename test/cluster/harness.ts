/**
 * A real API server for tests. Which one, in this order:
 *
 * 1. the cluster of `KUBECONFIG`, but only with `DRAWBRIDGE_TEST_CLUSTER=yes`: tests create and delete things there;
 * 2. etcd and kube-apiserver of `KUBEBUILDER_ASSETS` (no controllers there: Deployments make no pods);
 * 3. what `build.sh` builds from Go modules, built now if it is not there yet (needs Go, 6 to 12 minutes once).
 *
 * Nothing of 2 and 3 is left behind: `stop` ends processes by pid, an exit of this process does the same, and the next start
 * removes what a killed run left.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** What a program answered. `code` is -1 when a signal ended it. */
export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Cluster {
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string
  /** Folder of the programs, kubectl among them. */
  readonly bin: string
  /** Whether a controller manager runs: only then do Deployments make ReplicaSets and pods. */
  readonly hasControllers: boolean
  /** Runs kubectl as the administrator, or as whoever `kubeconfig` says. Never throws for a failing kubectl: look at `code`. */
  kubectl(args: readonly string[], stdin?: string, kubeconfig?: string): Promise<Outcome>
  /** Like `kubectl`, but throws what kubectl wrote to stderr unless it succeeded. Resolves to stdout. */
  must(args: readonly string[], stdin?: string): Promise<string>
  /** Creates a namespace with labels; replaces nothing. */
  createNamespace(name: string, labels?: Readonly<Record<string, string>>): Promise<void>
  /** A kubeconfig for a new user with a client certificate of the test CA. Rights come from RBAC objects that the test creates. */
  userKubeconfig(name: string, groups?: readonly string[]): Promise<string>
  /** Takes the API server away until `startApiServer`. etcd keeps running. */
  stopApiServer(): Promise<void>
  startApiServer(): Promise<void>
  stop(): Promise<void>
}

export interface ClusterOptions {
  /** Flags added to kube-apiserver's. */
  readonly apiArgs?: readonly string[]
  /** Flags in place of `--unsafe-no-fsync`; give `[]` for anything that claims durability. */
  readonly etcdArgs?: readonly string[]
}

/** There is no cluster and no way to make one here; the message says how to get one. */
export class NoClusterError extends Error {
  override readonly name = 'NoClusterError'
}

const HERE = join(import.meta.dirname, '../../../test/cluster')
const SCRIPT = join(HERE, 'cluster.sh')

function cacheHome(): string {
  const base =
    process.env['CLUSTER_HOME'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'k8s-test-cluster')
  return join(base, process.env['K8S_VERSION'] ?? '1.35.4')
}

/** Runs a program to its end. `echo` copies its output to ours, line for line, for slow builds. */
function run(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; stdin?: string; echo?: boolean } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: options.env ?? process.env, stdio: ['pipe', 'pipe', 'pipe'] })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => {
      out.push(chunk)
      if (options.echo) process.stderr.write(chunk)
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

/** Polls a real condition until it gives something other than false or undefined. Fails with `what` after `deadlineMs`. */
export async function waitFor<T>(
  condition: () => T | false | undefined | Promise<T | false | undefined>,
  deadlineMs: number,
  what: string,
): Promise<T> {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const value = await condition()
    if (value !== false && value !== undefined) return value
    if (performance.now() > deadline) throw new Error(`gave up after ${deadlineMs} ms waiting for: ${what}`)
    await delay(20)
  }
}

/** Ports that were free a moment ago, all different. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer()
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** When a process started, in the kernel's clock ticks: with the pid it names a process for good. Undefined: gone, or no /proc here. */
function startedAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

function isAlive(owner: string): boolean {
  const [pid, start] = owner.trim().split(' ')
  const number = Number(pid)
  if (!Number.isInteger(number) || number <= 0) return false
  const now = startedAt(number)
  if (now !== undefined && start !== undefined && start !== '') return now === start
  try {
    process.kill(number, 0)
    return true
  } catch {
    return false
  }
}

/** Removes clusters whose test process is gone. The script checks each pid's command line before it ends anything. */
function removeStale(runs: string): void {
  if (!existsSync(runs)) return
  for (const name of readdirSync(runs)) {
    if (name.startsWith('.')) continue
    const directory = join(runs, name)
    const owner = join(directory, 'owner')
    if (existsSync(owner) && isAlive(readFileSync(owner, 'utf8'))) continue
    spawnSync('bash', [SCRIPT, 'down'], { env: { ...process.env, CLUSTER_RUN: directory }, stdio: 'ignore' })
  }
}

/** The folder with the programs of the control plane, built if need be. */
async function programs(): Promise<{ readonly bin: string; readonly kubectl: string }> {
  const assets = process.env['KUBEBUILDER_ASSETS']
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
  const needed = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl']
  const missing = needed.filter((program) => !existsSync(join(built, program)))
  if (missing.length > 0) {
    if (spawnSync('go', ['version'], { stdio: 'ignore' }).status !== 0) {
      throw new NoClusterError(
        'no API server to test against: install Go >= 1.25 (it is then built, once), or set KUBEBUILDER_ASSETS to envtest binaries, or KUBECONFIG with DRAWBRIDGE_TEST_CLUSTER=yes',
      )
    }
    process.stderr.write(`Building ${missing.join(', ')} into ${built} (once; 6 to 12 minutes on two cores)\n`)
    const build = await run('bash', [join(HERE, 'build.sh'), ...missing], { echo: true })
    if (build.code !== 0)
      throw new NoClusterError(`the build of ${missing.join(', ')} failed: ${build.stderr.slice(-500)}`)
  }
  return { bin: built, kubectl: join(built, 'kubectl') }
}

function handle(
  kubeconfig: string,
  bin: string,
  kubectlPath: string,
  kubectlCache: Readonly<Record<string, string>>,
  rest: Pick<Cluster, 'hasControllers' | 'userKubeconfig' | 'stopApiServer' | 'startApiServer' | 'stop'>,
): Cluster {
  const kubectl: Cluster['kubectl'] = (args, stdin, as) =>
    run(kubectlPath, args, {
      env: { ...process.env, KUBECONFIG: as ?? kubeconfig, ...kubectlCache },
      ...(stdin === undefined ? {} : { stdin }),
    })
  const must: Cluster['must'] = async (args, stdin) => {
    const outcome = await kubectl(args, stdin)
    if (outcome.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${outcome.stderr.trim()}`)
    return outcome.stdout
  }
  return {
    kubeconfig,
    bin,
    kubectl,
    must,
    createNamespace: async (name, labels = {}) => {
      const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
      await must(['create', '-f', '-'], JSON.stringify(object))
    },
    ...rest,
  }
}

function notOnGiven(what: string): () => Promise<never> {
  return () => Promise.reject(new Error(`${what} is not possible on a cluster given by KUBECONFIG`))
}

function givenCluster(kubeconfig: string, kubectl: string): Cluster {
  return handle(
    kubeconfig,
    join(kubectl, '..'),
    kubectl,
    {},
    {
      hasControllers: true,
      userKubeconfig: notOnGiven('making users'),
      stopApiServer: notOnGiven('stopping the API server'),
      startApiServer: notOnGiven('starting the API server'),
      stop: () => Promise.resolve(),
    },
  )
}

/**
 * Starts a control plane of its own (about 8 s) or takes the given one. Several may run at the same time.
 * @throws NoClusterError when there is none to be had; other errors when starting failed
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  if (process.env['DRAWBRIDGE_TEST_CLUSTER'] === 'yes') {
    const given = process.env['KUBECONFIG']
    if (given === undefined || given === '') throw new NoClusterError('DRAWBRIDGE_TEST_CLUSTER=yes needs KUBECONFIG')
    const own = join(cacheHome(), 'bin', 'kubectl')
    return givenCluster(given, existsSync(own) ? own : 'kubectl')
  }
  const { bin, kubectl } = await programs()
  const runs = join(cacheHome(), 'runs')
  removeStale(runs)
  const [api, etcd, peer] = await freePorts(3)
  const directory = join(runs, `${process.pid}-${api}`)
  // Appears under its name only with its owner in it: another run that starts now must not take it for a dead one's.
  const draft = join(runs, `.${process.pid}-${api}`)
  mkdirSync(draft, { recursive: true })
  writeFileSync(join(draft, 'owner'), `${process.pid} ${startedAt(process.pid) ?? ''}\n`)
  renameSync(draft, directory)
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    CLUSTER_RUN: directory,
    CLUSTER_BIN: bin,
    API_PORT: String(api),
    ETCD_PORT: String(etcd),
    ETCD_PEER_PORT: String(peer),
    API_ARGS: (options.apiArgs ?? []).join(' '),
    ETCD_ARGS: (options.etcdArgs ?? ['--unsafe-no-fsync']).join(' '),
  }
  const script = async (...args: readonly string[]): Promise<string> => {
    const outcome = await run('bash', [SCRIPT, ...args], { env })
    if (outcome.code !== 0) throw new Error(`cluster.sh ${args.join(' ')}: ${outcome.stderr.trim()}`)
    return outcome.stdout.trim()
  }
  const downNow = (): void => {
    spawnSync('bash', [SCRIPT, 'down'], { env, stdio: 'ignore' })
  }
  process.once('exit', downNow)
  try {
    await script('up')
  } catch (error) {
    downNow()
    throw error
  }
  // A cache that goes with the cluster: kubectl otherwise keeps what it discovered on an earlier one at the same port.
  const kubectlCache = { KUBECACHEDIR: join(directory, 'kubectl-cache') }
  return handle(join(directory, 'admin.kubeconfig'), bin, kubectl, kubectlCache, {
    hasControllers: existsSync(join(bin, 'kube-controller-manager')),
    userKubeconfig: (name, groups = []) => script('user', name, ...groups),
    stopApiServer: async () => void (await script('apiserver', 'stop')),
    startApiServer: async () => void (await script('apiserver', 'start')),
    stop: async () => {
      await script('down')
      process.removeListener('exit', downNow)
    },
  })
}
