/**
 * The serving certificate of a whole server: from a Secret that all replicas share, from a folder that something else keeps, or self-made in the data
 * folder; followed, and with it caBundle of the webhook configurations.
 */
import { join } from 'node:path'
import { createAuthority, issueLeaf } from '../certs/authority.ts'
import type { KeyPair } from '../certs/authority.ts'
import { mountedCertificates, selfMadeCertificates, writeAtomically } from '../certs/files.ts'
import { describeGeneration } from '../certs/generation.ts'
import type { Held } from '../certs/generation.ts'
import { createKeeper } from '../certs/keeper.ts'
import type { StoredBundles, StoredCertificates } from '../certs/keeper.ts'
import { certificateNames, serviceNames } from '../certs/names.ts'
import type { Config } from './config/config.ts'
import type { CertificateObserver } from './observe/certificates.ts'

export interface CertificatesOptions {
  readonly config: Config
  /** Absent: standalone. */
  readonly kubernetes?: { readonly kubeconfig: string | undefined } | undefined
  /** The data folder. */
  readonly data: string
  /** The address that the webhook listener is bound to. */
  readonly host: string
  readonly observer: CertificateObserver
}

export interface Certificates {
  /** What is served now. */
  current(): KeyPair
  /** A file with what clients should trust. */
  readonly authorityFile: string
  /** Why no API server can call yet; empty: as far as is known one can. */
  notReady(): readonly string[]
  /** Calls `onChange` now, and before another certificate counts as served. */
  follow(onChange: (pair: KeyPair) => Promise<void>): Promise<void>
  /** Resolves when nothing is under way. */
  stop(): Promise<void>
}

const IN_CLUSTER_SECRET = 'drawbridge-tls'
/** A kubelet swaps the links of a folder, somebody overwrites caBundle: noticed after so long. */
const POLL_MILLISECONDS = 5000
/** Never more than one write of caBundle within this, however often somebody else writes. */
const BUNDLE_WRITE_MILLISECONDS = 5000
/** A replica that cannot read the Secret for so many times the propagation serves by an authority that is trusted no more. */
const KEEP_PREVIOUS_PROPAGATIONS = 30

/** Where certificates are kept, and how they are read. */
interface Source {
  readonly authorityFile: string
  readonly names: readonly string[]
  readonly readStored: () => Promise<StoredCertificates>
  readonly readBundles?: (() => Promise<StoredBundles>) | undefined
  readonly now: () => number
  /** Whether the bundle has to be written to `authorityFile`. */
  readonly writesAuthority: boolean
  close(): void
}

function folderSource({ config, data, host, observer }: CertificatesOptions): Source {
  const { directory } = config.tls
  const names = directory === undefined ? certificateNames(host, config.tls.names) : []
  const read = async () => {
    if (directory !== undefined) return mountedCertificates(directory)
    return selfMadeCertificates(join(data, 'tls'), names, Date.now(), (what, reason) =>
      observer.changed(`${what} replaced`, reason, what === 'authority'),
    )
  }
  return {
    authorityFile: join(directory ?? join(data, 'tls'), 'ca.crt'),
    names,
    async readStored() {
      const { authority, leaf } = await read()
      return { content: { current: { authority: { certificate: authority }, leaf }, previous: [] } }
    },
    now: () => Date.now(),
    writesAuthority: false,
    close: () => undefined,
  }
}

async function clusterSource(options: CertificatesOptions, kubeconfig: string | undefined): Promise<Source> {
  const { config, data } = options
  // Loaded on demand: a standalone server does not need the Kubernetes client.
  const { connect, ownNamespace } = await import('./adapters/kubernetes/cluster.ts')
  const { readCaBundles } = await import('./adapters/kubernetes/caBundles.ts')
  const { readCertificateSecret } = await import('./adapters/kubernetes/certificateSecret.ts')
  const client = connect(kubeconfig)
  const inCluster = kubeconfig === undefined && config.tls.directory === undefined ? IN_CLUSTER_SECRET : undefined
  const name = config.tls.secret ?? inCluster
  const common = { readBundles: () => readCaBundles(client), close: () => client.close() }
  if (name === undefined) return { ...folderSource(options), ...common }
  const namespace = ownNamespace(kubeconfig, config.namespace)
  return {
    ...common,
    authorityFile: join(data, 'ca.crt'),
    names: serviceNames(config.tls.services, namespace, config.tls.names),
    readStored: () => readCertificateSecret({ client, namespace, name }),
    // The clock that counts is that of who verifies; replicas whose clocks differ would otherwise replace each other's certificates.
    now: () => client.serverTime() ?? Date.now(),
    writesAuthority: true,
  }
}

/**
 * Takes a certificate into use, making it where that is Drawbridge's task. Rejects with one clear line when there is none to be had.
 */
export async function startCertificates(options: CertificatesOptions): Promise<Certificates> {
  const { config, kubernetes, observer } = options
  const source = kubernetes === undefined ? folderSource(options) : await clusterSource(options, kubernetes.kubeconfig)
  const isOurs = source.writesAuthority
  let served: Held | undefined
  let onChange: ((pair: KeyPair) => Promise<void>) | undefined
  let isReady = false
  // Problems of this look and of the one before: looked at every few seconds, said once while they last.
  let found = new Set<string>()
  let said = new Set<string>()
  const onProblem = (text: string): void => {
    if (!said.has(text) && !found.has(text)) observer.problem(text)
    found.add(text)
  }
  const propagation = source.readBundles === undefined ? 0 : config.tls.caPropagation
  const keeper = createKeeper({
    ...source,
    managesBundles: (config.tls.caBundle ?? (isOurs ? 'manage' : 'leave')) === 'manage',
    createAuthority,
    issueLeaf,
    describe: (material) => describeGeneration(material, source.names),
    tick: () => performance.now(),
    propagation,
    keepPrevious: propagation * KEEP_PREVIOUS_PROPAGATIONS,
    bundleWriteInterval: BUNDLE_WRITE_MILLISECONDS,
    async serve(held, trusted) {
      if (source.writesAuthority) await writeAtomically(source.authorityFile, trusted.join(''), 0o644)
      if (served?.leaf === held.leaf) return
      await onChange?.(held.material.leaf)
      served = held
      observer.loaded(held.leafValidity.to)
    },
    onStep(step) {
      const reason = 'reason' in step ? step.reason : ''
      observer.changed(step.kind, reason, step.kind === 'replace' || step.kind === 'restore')
    },
    onBundles: (repaired) => observer.bundleWritten(repaired),
    onProblem,
  })

  const look = async (): Promise<void> => {
    said = found
    found = new Set()
    const status = await keeper.round()
    if (status === undefined) throw new Error('there is no certificate to serve yet')
    const { serving, isTrusted } = status
    const left = (to: number): number => Math.floor((to - source.now()) / 1000)
    observer.status({ leaf: left(serving.leafValidity.to), authority: left(serving.authorityValidity.to) }, isTrusted)
    // Gates the first readiness only: once it has served, taking every replica away would make things worse.
    if (isTrusted !== false) isReady = true
  }
  try {
    await look()
  } catch (error) {
    source.close()
    throw error
  }

  let looking: Promise<void> | undefined
  const timer = setInterval(() => {
    looking ??= look()
      .catch((error: unknown) => onProblem(error instanceof Error ? error.message : String(error)))
      .finally(() => (looking = undefined))
  }, POLL_MILLISECONDS)
  timer.unref()

  return {
    current: () => served!.material.leaf,
    authorityFile: source.authorityFile,
    notReady: () => (isReady ? [] : ['caBundle of the webhook configurations does not trust the serving certificate']),
    async follow(listener) {
      onChange = listener
      await listener(served!.material.leaf)
    },
    async stop() {
      clearInterval(timer)
      await looking
      source.close()
    },
  }
}
