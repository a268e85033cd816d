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
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { cacheHome, HERE, NoClusterError, NODE_KUBERNETES, noNodeBecause, programs, run } from './programs.ts'
import type { Outcome } from './programs.ts'

export { NoClusterError } from './programs.ts'
export type { Outcome } from './programs.ts'

const SCRIPT = join(HERE, 'cluster.sh')

/** Where the node's containerd keeps what it knows of running containers: `STATE` of the script. */
const TASKS = '/run/drawbridge-test-node/io.containerd.runtime.v2.task/k8s.io'

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
  /** @param more flags beside those that it was first started with, until it is stopped again */
  startApiServer(more?: readonly string[]): Promise<void>
  stop(): Promise<void>
}

export interface ClusterOptions {
  /** Flags added to kube-apiserver's. */
  readonly apiArgs?: readonly string[]
  /** Flags in place of `--unsafe-no-fsync`; give `[]` for anything that claims durability. */
  readonly etcdArgs?: readonly string[]
  /** Also a node, on which pods really run: root on Linux, with what `nodePrograms` names. Only one at a time: others wait for it. */
  readonly node?: boolean
}

/** A cluster with a node. */
export interface NodeCluster extends Cluster {
  /** The address of the node: of everything that listens on this machine for its pods. */
  readonly address: string
  readonly containerdSocket: string
  /** The kubelet's --root-dir. */
  readonly kubeletRoot: string
  /** Puts a docker-archive among the images of the node. */
  importImage(archive: string): Promise<void>
  /** Gives an image of the node another name too. Both with registry and tag, as containerd has them. */
  nameImage(name: string, another: string): Promise<void>
  /**
   * Makes images with nothing in them but these files, each with a digest of its own, and puts them on the node.
   *
   * @param names with tags, as pods name them
   * @param files path in the image -> a file, a folder, or `@TARGET` for a symbolic link
   */
  makeImages(
    names: readonly string[],
    files: Readonly<Record<string, string>>,
    entrypoint: readonly string[],
  ): Promise<void>
  /** Copies a folder of seccomp profiles to where the kubelet looks for `localhostProfile: drawbridge/NAME.json`. */
  installSeccompProfiles(folder: string): void
  /** The first process of a container, by the id that the pod's status has. */
  pidOf(containerId: string): number
  /** The power fails and comes back: control plane, kubelet, every container. Resolves when the node is ready. */
  reboot(): Promise<void>
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

/**
 * Resolves when custom resource definitions can be used. `kubectl wait` alone fails at once on one that has no conditions yet.
 *
 * @param name of one of them; default: all that there are
 */
export async function waitForCrds(cluster: Pick<Cluster, 'kubectl'>, name?: string): Promise<void> {
  const which = name === undefined ? ['crd', '--all'] : [`crd/${name}`]
  const isEstablished = async (): Promise<boolean> =>
    (await cluster.kubectl(['wait', '--for=condition=Established', ...which, '--timeout=10s'])).code === 0
  await waitFor(isEstablished, 60_000, `${which.join(' ')} to be established`)
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
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
export async function startCluster(options: ClusterOptions & { readonly node: true }): Promise<NodeCluster>
export async function startCluster(options?: ClusterOptions): Promise<Cluster>
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const noNode = options.node ? noNodeBecause() : undefined
  if (noNode !== undefined) throw new NoClusterError(noNode)
  if (!options.node && process.env['DRAWBRIDGE_TEST_CLUSTER'] === 'yes') {
    const given = process.env['KUBECONFIG']
    if (given === undefined || given === '') throw new NoClusterError('DRAWBRIDGE_TEST_CLUSTER=yes needs KUBECONFIG')
    const own = join(cacheHome(), 'bin', 'kubectl')
    return givenCluster(given, existsSync(own) ? own : 'kubectl')
  }
  const { bin, kubectl } = await programs(options.node ? NODE_KUBERNETES : [])
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
    PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
    CLUSTER_RUN: directory,
    CLUSTER_BIN: bin,
    API_PORT: String(api),
    ETCD_PORT: String(etcd),
    ETCD_PEER_PORT: String(peer),
    API_ARGS: (options.apiArgs ?? []).join(' '),
    ETCD_ARGS: (options.etcdArgs ?? ['--unsafe-no-fsync']).join(' '),
  }
  const script = async (...args: readonly string[]): Promise<string> => {
    // A node may have to wait for another run's, and says so.
    const outcome = await run('bash', [SCRIPT, ...args], { env, ...(args[0] === 'up' && { echo: 'stderr' }) })
    if (outcome.code !== 0) throw new Error(`cluster.sh ${args.join(' ')}: ${outcome.stderr.trim()}`)
    return outcome.stdout.trim()
  }
  const downNow = (): void => {
    spawnSync('bash', [SCRIPT, 'down'], { env, stdio: 'ignore' })
  }
  process.once('exit', downNow)
  try {
    await script('up', ...(options.node ? ['--node'] : []))
  } catch (error) {
    downNow()
    throw error
  }
  // A cache that goes with the cluster: kubectl otherwise keeps what it discovered on an earlier one at the same port.
  const kubectlCache = { KUBECACHEDIR: join(directory, 'kubectl-cache') }
  const cluster = handle(join(directory, 'admin.kubeconfig'), bin, kubectl, kubectlCache, {
    hasControllers: existsSync(join(bin, 'kube-controller-manager')),
    userKubeconfig: (name, groups = []) => script('user', name, ...groups),
    stopApiServer: async () => void (await script('apiserver', 'stop')),
    startApiServer: async (more = []) => void (await script('apiserver', 'start', ...more)),
    stop: async () => {
      await script('down')
      process.removeListener('exit', downNow)
    },
  })
  if (!options.node) return cluster
  const node: NodeCluster = {
    ...cluster,
    address: '10.123.0.1',
    containerdSocket: join(directory, 'containerd.sock'),
    kubeletRoot: join(directory, 'kubelet'),
    importImage: async (archive) => void (await script('import', archive)),
    nameImage: async (name, another) => void (await script('tag', name, another)),
    async makeImages(names, files, entrypoint) {
      const pairs = Object.entries(files).map(([target, source]) => `${source}:${target}`)
      await script('image', names.join(','), pairs.join(','), ...entrypoint)
    },
    installSeccompProfiles: (folder) => {
      cpSync(folder, join(directory, 'kubelet/seccomp/drawbridge'), { recursive: true })
    },
    pidOf: (containerId) => Number(readFileSync(join(TASKS, containerId, 'init.pid'), 'utf8')),
    reboot: async () => void (await script('reboot')),
  }
  return node
}
