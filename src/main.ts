/**
 * The program. One of the three composition roots (see ARCHITECTURE.md); the only reader of the environment and caller of process.exit.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { runCli } from './cli/program.ts'
import type { CliActions } from './cli/program.ts'
import { UnusableError } from './cli/io.ts'
import type { CliIo } from './cli/io.ts'
import { askAdmin, callAdmin, connectionFrom } from './cli/adminClient.ts'
import type { VerdictAccess } from './cli/verdicts.ts'
import { parseMetrics } from './doctor/metrics.ts'
import type { LocalServer } from './doctor/types.ts'
import type { ListedException } from './policy/exceptionUses.ts'
import { parseReference } from './kube/reference.ts'
import { resolveNamespace } from './policy/namespace.ts'
import { createVerdictIndex, findFlagged } from './verdicts/index.ts'
import type { Decision, ImageVerdict } from './verdicts/types.ts'
import { renderManifests } from '../manifests/render.ts'
import { banner } from './cli/banner.ts'

const io: CliIo = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  async readStdin() {
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  },
  errIsTerminal: process.stderr.isTTY,
  user: process.env['DRAWBRIDGE_USER'] ?? userInfo().username,
  now: () => Date.now(),
  // An exported COLUMNS counts too, as for other tools: a pager or a recording has a width without being a terminal.
  columns: Number.parseInt(process.env['COLUMNS'] ?? '', 10) || process.stdout.columns,
}

/** A terminal signals every process of its group, and a launcher passes the signal on as well: one Ctrl-C can arrive twice. */
const SAME_KEYSTROKE_MILLISECONDS = 1000

/** Resolves with the first signal that asks to stop; another one, later, ends the process at once. */
function stopRequested(): Promise<string> {
  return new Promise((resolve) => {
    let asked: number | undefined
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (asked !== undefined && performance.now() - asked > SAME_KEYSTROKE_MILLISECONDS) process.exit(1)
        asked ??= performance.now()
        resolve(signal)
      })
    }
  })
}

/** Verdicts through the admin API of a server on this machine. */
async function localVerdicts(data: string): Promise<VerdictAccess> {
  const connection = await connectionFrom(data)
  const ask = async (method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> => {
    const answer = await callAdmin(connection, method, path, body)
    if (answer.status === 200) return answer.body
    if (answer.status === 404) return undefined
    throw new Error((answer.body as { error?: string }).error ?? `status ${answer.status}`)
  }
  const decide = async (
    name: string,
    what: 'release' | 'confirm',
    { until, ...decision }: Omit<Decision, 'at'>,
  ): Promise<ImageVerdict | undefined> =>
    (await ask('POST', `/api/v1/verdicts/${encodeURIComponent(name)}/${what}`, {
      ...decision,
      ...(until === undefined ? {} : { until: new Date(until).toISOString() }),
    })) as ImageVerdict | undefined
  return {
    asked: `the server of ${data}; for a cluster: --kubeconfig FILE`,
    list: async () => ((await ask('GET', '/api/v1/verdicts')) as { items: ImageVerdict[] }).items,
    get: async (name) => (await ask('GET', `/api/v1/verdicts/${encodeURIComponent(name)}`)) as ImageVerdict | undefined,
    release: async (name, decision) => decide(name, 'release', decision),
    confirm: async (name, decision) => decide(name, 'confirm', decision),
  }
}

/** Where the brake is, as `drawbridge manifests` assumes too. */
const OWN_NAMESPACE = 'drawbridge'

/** As for kubectl, an empty KUBECONFIG is none. */
const kubeconfigOfEnvironment = (): string | undefined => process.env['KUBECONFIG'] || undefined

/** Where no server runs with this data folder, the cluster that kubectl would ask is meant. */
const clusterInPlaceOf = (data: string): string | undefined =>
  existsSync(join(data, 'server.json')) ? undefined : kubeconfigOfEnvironment()

/** A server with its data folder here, as far as it answers. Throws UnusableError when the folder is none of a server. */
async function localServer(data: string): Promise<LocalServer> {
  const connection = await connectionFrom(data)
  const { webhook, ca } = JSON.parse(await readFile(connection.file, 'utf8')) as { webhook: string; ca: string }
  const name = `the server in ${data}`
  try {
    const [health, metrics] = [
      await askAdmin(connection, 'GET', '/readyz?verbose'),
      await askAdmin(connection, 'GET', '/metrics'),
    ]
    return { webhook, ca, health: health.text.split('\n'), replica: { name, metrics: parseMetrics(metrics.text) } }
  } catch (error) {
    return { webhook, ca, health: [], replica: { name, why: (error as Error).message } }
  }
}

function unusableUnless<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new UnusableError((error as Error).message)
  }
}

const actions: CliActions = {
  async serve(options) {
    if (!options.standalone && options.kubeconfig === undefined && process.env['KUBERNETES_SERVICE_HOST'] === undefined)
      throw new UnusableError(
        'not inside a cluster (KUBERNETES_SERVICE_HOST is not set): give --kubeconfig FILE, or --standalone to run without one',
      )
    const stop = stopRequested()
    // Under an old Node, bin/drawbridge.js is our parent: without it nobody would forward signals to us.
    if (process.env['DRAWBRIDGE_EXIT_WITH_PARENT'] !== undefined) process.on('disconnect', () => process.exit(1))
    // Loaded on demand: commands that work offline start without express, TLS and certificates.
    const { startServer } = await import('./serve.ts')
    const starting = startServer({ ...options, version: await packageVersion() })
    const server = await Promise.race([starting, stop.then(() => undefined)])
    // Nothing that was acknowledged until now is lost: it was durable before that.
    if (server === undefined) {
      io.out('drawbridge: stopped before it had started\n')
      return 0
    }
    io.out(banner(server.file, options))
    await stop
    io.out('drawbridge: stopping ...\n')
    await server.stop()
    io.out('drawbridge: stopped\n')
    return 0
  },
  async seccompSync(options) {
    if (process.env['KUBERNETES_SERVICE_HOST'] === undefined)
      throw new UnusableError(
        'seccomp-sync runs in a pod on each node only; seccompSync.enabled of the chart sets it up (docs/seccomp.md)',
      )
    const stop = stopRequested()
    const { startSeccompSync } = await import('./seccompSync.ts')
    const sync = startSeccompSync(options)
    await stop
    await sync.stop()
    return 0
  },
  async openVerdicts({ data, kubeconfig = clusterInPlaceOf(data) }) {
    if (kubeconfig === undefined) return { ...(await localVerdicts(data)), close: () => Promise.resolve() }
    const { openClusterVerdicts } = await import('./adapters/kubernetes/commandLine.ts')
    return openClusterVerdicts(kubeconfig)
  },
  async openScan({ kubeconfig = kubeconfigOfEnvironment(), podSecurityLabels, profiles: given, exemptions }) {
    const stop = new AbortController()
    void stopRequested().then(() => stop.abort())
    const { openClusterScan } = await import('./adapters/kubernetes/clusterScan.ts')
    const { minor, verdicts, exceptions, ...cluster } = await openClusterScan(kubeconfig, stop.signal)
    const profiles = new Map([...cluster.profiles, ...given])
    return {
      ...cluster,
      profileNames: [...profiles.keys()],
      signal: stop.signal,
      resolvePolicy: (labels) =>
        resolveNamespace(labels, {
          podSecurityLabels,
          profiles: (name) => profiles.get(name),
          ...(minor !== undefined && { latest: minor }),
        }),
      judging: {
        findFlagged: findFlagged(createVerdictIndex(verdicts), parseReference, () => Date.now(), ' --kubeconfig FILE'),
        exceptions: (name) => exceptions.get(name),
        now: Date.now(),
        exemptions,
      },
    }
  },
  async openWorkloads({ kubeconfig = kubeconfigOfEnvironment() }) {
    const { openClusterScan } = await import('./adapters/kubernetes/clusterScan.ts')
    const cluster = await openClusterScan(kubeconfig, new AbortController().signal)
    return {
      ...cluster,
      brake: await cluster.brake(OWN_NAMESPACE),
      resolvePolicy: (labels) => resolveNamespace(labels, { profiles: (name) => cluster.profiles.get(name) }),
      findFlagged: findFlagged(createVerdictIndex(cluster.verdicts), parseReference, () => Date.now()),
    }
  },
  async doctor({ data, kubeconfig = kubeconfigOfEnvironment(), namespace, output }) {
    const { doctor } = await import('./doctor/doctor.ts')
    const local = data === undefined ? undefined : await localServer(data)
    const version = await packageVersion()
    const isInside = process.env['KUBERNETES_SERVICE_HOST'] !== undefined
    if (kubeconfig === undefined && (local !== undefined || !isInside)) {
      if (local !== undefined) return doctor({ namespace, output, version }, { local }, io)
      throw new UnusableError(
        'no cluster to look at: give --kubeconfig FILE, or --data DIR for a server on this machine',
      )
    }
    const { connect } = await import('./adapters/kubernetes/cluster.ts')
    const { createClusterReader } = await import('./adapters/kubernetes/clusterReader.ts')
    const client = unusableUnless(() => connect(kubeconfig))
    try {
      return await doctor({ namespace, output, version }, { reader: createClusterReader(client), local }, io)
    } finally {
      client.close()
    }
  },
  async openExceptions({ data, kubeconfig = clusterInPlaceOf(data) }) {
    if (kubeconfig !== undefined) {
      const { openClusterExceptions } = await import('./adapters/kubernetes/commandLine.ts')
      return openClusterExceptions(kubeconfig)
    }
    const connection = await connectionFrom(data)
    return {
      async list() {
        const { status, body } = await callAdmin(connection, 'GET', '/api/v1/exceptions')
        if (status !== 200) throw new Error((body as { error?: string }).error ?? `status ${status}`)
        return (body as { items: ListedException[] }).items
      },
      close: () => Promise.resolve(),
    }
  },
  async manifests({ url, ca, namespace, user, scope, podSecurityLabels, requireLabelsExcept }) {
    let caBundle: string
    try {
      caBundle = await readFile(ca, 'utf8')
    } catch (error) {
      throw new UnusableError(`${ca}: the CA cannot be read: ${(error as Error).message}`)
    }
    try {
      return renderManifests({
        endpoint: { url },
        caBundle,
        ownNamespace: namespace,
        user,
        scope,
        podSecurityLabels,
        requireLabels: requireLabelsExcept && { except: requireLabelsExcept },
      })
    } catch (error) {
      throw new UnusableError((error as Error).message)
    }
  },
}

async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** Resolves when what was written is with the reader: `process.exit` drops what a full pipe has not taken yet. */
const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => stream.write('', () => resolve()))

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // A reader may leave before the end (`| head`). Anything else, such as a full disk, must not look like success.
    if (error.code === 'EPIPE') return
    process.stderr.write(`drawbridge: the output cannot be written: ${error.message}\n`)
    process.exit(2)
  })
}
const code = await runCli(process.argv.slice(2), io, actions, await packageVersion())
await Promise.all([flushed(process.stdout), flushed(process.stderr)])
process.exit(code)
