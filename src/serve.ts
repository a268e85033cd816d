/**
 * Starts and stops a whole server: certificates, the alert thread, three listeners. One of the three composition roots (see ARCHITECTURE.md).
 */
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { AggregatorRegistry, Registry } from 'prom-client'
import { createValidateProfiles } from '../webhooks/profiles.ts'
import { reviewRoutes } from '../webhooks/routes.ts'
import { createValidateNamespaces } from '../webhooks/namespaces.ts'
import { resolveLive } from '../webhooks/context.ts'
import { clusterView, standaloneView } from './admissionView.ts'
import { startAlertThread } from './alertThreadHost.ts'
import { startCertificates } from './certificates.ts'
import { ownerWorkload } from './kube/owner.ts'
import { sources } from './alerts/sources/index.ts'
import { ConfigError, parseConfig } from './config/config.ts'
import type { Config } from './config/config.ts'
import { checkCredentials, followSecrets, secretReader } from './config/credentials.ts'
import { settingsProblems } from './correlator/settings.ts'
import { writeServerFile } from './config/serverFile.ts'
import type { ServerFile } from './config/serverFile.ts'
import { createAdmissionObserver } from './observe/admission.ts'
import { createCertificateObserver } from './observe/certificates.ts'
import { createLogger } from './observe/logger.ts'
import { createOperationObserver } from './observe/operation.ts'
import { chooseHelpers, collectGarbage, letGarbageGrow } from './memory.ts'
import { observeProcess, observeThread } from './observe/process.ts'
import { healthChecks } from './health.ts'
import { createLogLevel } from './logLevel.ts'
import { followRegistration } from './registration.ts'
import { createExemptions } from './policy/exemptions.ts'
import { deniesNewPods } from './policy/flaggedImages.ts'
import { cachePolicies } from './policy/policyCache.ts'
import { parseReference } from './kube/reference.ts'
import type { ObjectMeta } from './kube/types.ts'
import { adminApp } from './server/adminApp.ts'
import { startListener } from './server/listener.ts'
import type { Listener } from './server/listener.ts'
import { webhookApp } from './server/webhookApp.ts'
import { withBrake } from './verdicts/brake.ts'
import { createVerdictIndex, findFlagged } from './verdicts/index.ts'

/** What the command line decides; everything else is in the configuration file. */
export interface ServeOptions {
  readonly standalone: boolean
  readonly kubeconfig?: string | undefined
  readonly configFile?: string | undefined
  readonly data: string
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly alertsPort?: number | undefined
  readonly adminPort?: number | undefined
  /** Of the program, for its metrics. */
  readonly version?: string | undefined
}

export interface RunningServer {
  readonly file: ServerFile
  readonly config: Config
  /** Why it is not ready; empty when it is. */
  notReady(): readonly string[]
  /** Answers what is under way, writes what is pending, removes server.json. */
  stop(): Promise<void>
}

const mapValues = <A, B>(values: Readonly<Record<string, A>>, to: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, to(value)]))

const DEFAULT_CONFIG_FILE = 'drawbridge.yaml'
/** How often tokens and the client CA are looked at: a token that leaked should not live long. */
const SECRET_POLL_MILLISECONDS = 5_000

async function loadConfig(file: string | undefined, standalone: boolean): Promise<Config> {
  const path = file ?? DEFAULT_CONFIG_FILE
  try {
    const config = parseConfig(await readFile(path, 'utf8'), path)
    checkCredentials(config, path, { sources: sources.map(({ name }) => name), standalone })
    const problems = [
      ...settingsProblems(config),
      ...(standalone && config.tls.secret !== undefined
        ? ['tls.secret needs a cluster (serve --kubeconfig FILE)']
        : []),
    ]
    if (problems.length > 0) throw new ConfigError(problems.map((problem) => `${path}: ${problem}`).join('\n'))
    return config
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && file === undefined) return parseConfig('', path)
    if (code !== undefined) throw new ConfigError(`${path}: cannot be read: ${message}`)
    throw error
  }
}

/**
 * Starts everything and resolves when alerts and reviews are answered.
 * Rejects with one clear line when the configuration, a port, the data folder or a certificate cannot be used.
 */
export async function startServer(options: ServeOptions): Promise<RunningServer> {
  chooseHelpers()
  const config = await loadConfig(options.configFile, options.standalone)
  const logger = createLogger({ level: config.log.level, thread: 'admission' })
  const registry = new Registry()
  observeProcess(options.version ?? 'unknown', registry)
  observeThread('admission', registry)
  const observer = createAdmissionObserver(logger, registry)
  const operation = createOperationObserver(logger, registry)
  const host = options.host ?? config.webhook.address
  const data = resolve(options.data)
  await mkdir(data, { recursive: true, mode: 0o700 })

  const secretProblem = (problem: string): void => observer.secretProblem(problem)
  const tokenFiles = { alertToken: join(data, 'alert-token'), adminToken: join(data, 'admin-token') }
  const readSecrets = secretReader(config, tokenFiles, secretProblem)
  let secrets = await readSecrets()

  let isStopping = false
  const index = createVerdictIndex()
  const kubernetes = options.standalone ? undefined : { kubeconfig: options.kubeconfig }
  const certificates = await startCertificates({
    config,
    kubernetes,
    data,
    host,
    observer: createCertificateObserver(logger, registry),
  })
  const view = await (
    kubernetes === undefined ? standaloneView(config, observer) : clusterView(kubernetes.kubeconfig, config, observer)
  ).catch(async (error: unknown) => {
    await certificates.stop()
    throw error
  })

  const webhookPort = options.port ?? config.webhook.port
  // Two servers on one machine, told apart by --port alone, must not fight for the port that neither was told.
  const alertsPort = options.alertsPort ?? (options.port === undefined ? config.alerts.port : 0)
  let verdictsChanged: (() => void) | undefined
  let denies: (namespace: string, images: readonly string[]) => boolean = () => false
  const alertThread = await startAlertThread({
    options: {
      config,
      logLevel: config.log.level,
      dataDirectory: data,
      kubernetes,
      host: options.host ?? config.alerts.address,
      port: alertsPort,
      ...certificates.current(),
      credentials: secrets.credentials,
      clientCa: secrets.clientCa,
    },
    applyVerdicts(changes) {
      for (const change of changes) index.apply(change)
      observer.verdictsIndexed(index.size())
      verdictsChanged?.()
    },
    denies: (namespace, images) => denies(namespace, images),
    onEnded: (reason) => observer.alertThreadEnded(reason),
  }).catch(async (error: unknown) => {
    await Promise.all([view.stop(), certificates.stop()])
    throw error
  })

  const exemptions = createExemptions(config.exemptions)
  const { podSecurityLabels } = config
  // Only now: written without the verdicts, the net would open.
  verdictsChanged = view.keepSafetyNet?.({ verdicts: () => index.list(), exemptions, podSecurityLabels })
  const context = {
    namespaces: view,
    resolvePolicy: cachePolicies({ ...view, podSecurityLabels }),
    readProfile: view.profiles.read,
    findFlagged: withBrake(
      findFlagged(index, parseReference, () => Date.now(), kubernetes === undefined ? '' : ' --kubeconfig FILE'),
      view.brake,
    ),
    findException: view.exceptions.find,
    readHistory: view.readHistory,
    exceptionsUsed(used: readonly string[], pod: ObjectMeta) {
      view.exceptions.recordUse(used, ownerWorkload(pod, Date.now()), pod)
    },
    seccompNodes: view.seccompNodes,
    exemptions,
    observer,
    now: () => performance.now(),
    clock: () => Date.now(),
  }
  denies = (namespace, images) =>
    deniesNewPods(
      images.flatMap((image) => context.findFlagged(image, namespace) ?? []),
      context.resolvePolicy(view.cached(namespace) ?? {}),
    )
  collectGarbage()
  letGarbageGrow()
  const { liveness, readiness } = healthChecks({ certificates, view, alertThread, isStopping: () => isStopping })
  const logLevel = createLogLevel({
    configured: config.log.level,
    async apply(level) {
      logger.level = level
      await alertThread.setLogLevel(level)
    },
    onChanged: (level, until) => operation.logLevelChanged(level, until),
    clock: () => Date.now(),
  })
  const listeners: Listener[] = []
  try {
    listeners.push(
      await startListener({
        ...certificates.current(),
        name: 'webhook listener',
        portOption: '--port (make run: PORT=)',
        host,
        port: webhookPort,
        handler: webhookApp({
          routes: {
            ...reviewRoutes(context, podSecurityLabels),
            '/validate-profiles': createValidateProfiles({ ...context, allNamespaces: view.all }),
            '/validate-namespaces': createValidateNamespaces({
              ...context,
              resolveLive: (labels) => resolveLive(labels, context),
              listPods: view.listPods,
            }),
          },
          onError: (status, error) => observer.httpError('webhook', status, error),
        }),
        onConnectionError: (error) => observer.connectionError('webhook', error),
      }),
      await startListener({
        ...certificates.current(),
        name: 'admin listener',
        portOption: '--admin-port (make run: ADMIN_PORT=)',
        host: options.host ?? config.admin.address,
        port: options.adminPort ?? (options.port === undefined ? config.admin.port : 0),
        handler: adminApp({
          adminTokens: () => secrets.adminTokens,
          liveness,
          readiness,
          logLevel,
          async metrics() {
            operation.cachesAged(mapValues(view.caches, ({ age }) => age()))
            const parts = [await registry.getMetricsAsJSON(), await alertThread.metrics()]
            const merged = AggregatorRegistry.aggregate(parts as never)
            return { contentType: merged.contentType, text: await merged.metrics() }
          },
          verdicts: alertThread.verdicts,
          exceptions: view.exceptions.list,
          onError: (status, error) => observer.httpError('admin', status, error),
        }),
        onConnectionError: (error) => observer.connectionError('admin', error),
      }),
    )
  } catch (error) {
    await Promise.all([...listeners.map((listener) => listener.drain(0)), alertThread.stop(0)])
    await Promise.all([view.stop(), certificates.stop()])
    throw error
  }
  const [webhook, admin] = listeners as [Listener, Listener]
  const stopComparing =
    view.readWebhooks &&
    followRegistration({
      read: view.readWebhooks,
      comparedWith: { ownNamespace: view.ownNamespace, podSecurityLabels: config.podSecurityLabels },
      observer: operation,
    })

  await certificates.follow(async ({ certificate, key }) => {
    for (const listener of listeners) listener.setCertificate(certificate, key)
    await alertThread.setCertificate(certificate, key)
  })

  const url = (address: string, port: number): string => {
    const reachable =
      address === '0.0.0.0'
        ? '127.0.0.1'
        : address === '::'
          ? '[::1]'
          : address.includes(':')
            ? `[${address}]`
            : address
    return `https://${reachable}:${port}`
  }
  const serverFileOf = ({ alertTokens, adminTokens }: typeof secrets): ServerFile => ({
    webhook: url(host, webhook.port),
    alerts: url(options.host ?? config.alerts.address, alertThread.port()),
    admin: url(options.host ?? config.admin.address, admin.port),
    ca: resolve(certificates.authorityFile),
    alertToken: alertTokens[0]!,
    adminToken: adminTokens[0]!,
    pid: process.pid,
  })
  const serverFile = join(data, 'server.json')
  await writeServerFile(serverFile, serverFileOf(secrets))
  const stopFollowing = followSecrets({
    read: readSecrets,
    initial: secrets,
    everyMilliseconds: SECRET_POLL_MILLISECONDS,
    onProblem: secretProblem,
    async onChange(next) {
      await alertThread.setCredentials(next)
      secrets = next
      observer.secretsLoaded()
      await writeServerFile(serverFile, serverFileOf(next))
    },
  })

  return {
    file: serverFileOf(secrets),
    config,
    notReady: () => readiness.flatMap(({ problem }) => problem() ?? []),
    async stop() {
      isStopping = true
      // Whoever keeps a connection moves to another replica with its next request.
      webhook.refuseKeepAlive()
      await alertThread.refuseKeepAlive().catch(() => undefined)
      logLevel.stop()
      await Promise.all([certificates.stop(), stopFollowing(), stopComparing?.()])
      // In a cluster the endpoints learn of it only after a while: keep serving until they have.
      if (kubernetes !== undefined) await new Promise((done) => setTimeout(done, config.drain))
      await Promise.all([webhook.drain(config.drain), alertThread.stop(config.drain)])
      await admin.drain(0)
      await view.stop()
      await rm(serverFile, { force: true })
    },
  }
}
