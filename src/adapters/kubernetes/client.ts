/**
 * The road to the API server: credentials by @kubernetes/client-node's KubeConfig, requests by Node's own https.
 *
 * Not client-node's request methods: they open a new TLS connection for every call (2.0.1 makes a dispatcher per request), its
 * generated classes copy every pod, and its Watch swallows lines that it cannot parse, which would be a silent gap.
 */
import { Agent, request as httpsRequest } from 'node:https'
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import type { RequestOptions } from 'node:https'
import { StringDecoder } from 'node:string_decoder'

import { KubeConfig } from '@kubernetes/client-node'

import { networkHint } from './networkHints.ts'

/** The API server refused or could not be reached. `message` is one line for people and says what to do where that is known. */
export class KubernetesError extends Error {
  override readonly name = 'KubernetesError'
  /** HTTP status; 0: no answer. */
  readonly status: number
  /** The API server's own word, for example `AlreadyExists`; or `Unreachable`, `Timeout`, `NotJson`. */
  readonly reason: string

  constructor(status: number, reason: string, message: string) {
    super(message)
    this.status = status
    this.reason = reason
  }
}

export interface RequestSettings {
  readonly query?: Readonly<Record<string, string | undefined>> | undefined
  /** Sent as JSON. */
  readonly body?: unknown
  /** For PATCH. */
  readonly contentType?:
    | 'application/json'
    | 'application/merge-patch+json'
    | 'application/strategic-merge-patch+json'
    | 'application/apply-patch+yaml'
    | undefined
  /** Milliseconds until the whole answer must be there. Default 30,000. */
  readonly timeoutMs?: number | undefined
  /** Longest answer; beyond it the request fails. Default 256 MiB. */
  readonly maxBytes?: number | undefined
}

/** One line of a watch, as the API server sends it. */
export interface WatchEvent {
  readonly type: string
  readonly object: unknown
}

export interface KubernetesClient {
  /** Base URL, for messages. */
  readonly server: string
  /**
   * One request.
   * @returns the answer's JSON, not validated
   * @throws KubernetesError for every failure
   */
  request(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    settings?: RequestSettings,
  ): Promise<unknown>
  /**
   * One GET of something that is not JSON, for example metrics through the API server's proxy.
   * @throws KubernetesError for every failure
   */
  requestText(path: string, timeoutMs?: number): Promise<string>
  /**
   * One watch request. Resolves when the server ends it (as it does every few minutes) or `signal` aborts it.
   * @param idleMs give up when nothing, not even a bookmark, arrives for so long
   * @throws KubernetesError for every failure, a line that is not JSON among them
   */
  watch(
    path: string,
    query: Readonly<Record<string, string>>,
    onEvent: (event: WatchEvent) => void,
    signal: AbortSignal,
    idleMs?: number,
  ): Promise<void>
  /** The API server's clock, milliseconds since the epoch, as its last answer to `request` told it; undefined before that. Whole seconds. */
  serverTime(): number | undefined
  /** Ends all connections. */
  close(): void
}

const DEFAULT_TIMEOUT_MS = 30_000
/** Bookmarks come about once a minute; three missed ones are a dead connection. */
const DEFAULT_IDLE_MS = 180_000
/** Above the largest list page; a single object is at most 1.5 MiB in etcd. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024
/** Metrics are tens of kilobytes; who answers for a pod is not known. */
const MAX_TEXT_BYTES = 2 * 1024 * 1024
/** With the second part: the API server refuses to give a log to who takes text alone, and says why it refuses in JSON. */
const ACCEPT_TEXT = 'text/plain, */*;q=0.1'
const MAX_LINE_CHARACTERS = 16 * 1024 * 1024

/**
 * Where to connect: a kubeconfig file, or `in-cluster` for the service account of the pod.
 *
 * @throws Error with one line for people when the file is missing or names no cluster
 */
export function loadKubeConfig(source: { readonly file: string } | 'in-cluster'): KubeConfig {
  const config = new KubeConfig()
  if (source === 'in-cluster') {
    config.loadFromCluster()
    const server = config.getCurrentCluster()?.server ?? ''
    if (server.includes('undefined')) {
      throw new Error('not inside a cluster (KUBERNETES_SERVICE_HOST is not set): give --kubeconfig FILE')
    }
    return config
  }
  try {
    config.loadFromFile(source.file)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') throw new Error(`kubeconfig ${source.file} does not exist`, { cause: error })
    if (code === 'EACCES') throw new Error(`kubeconfig ${source.file} may not be read by this user`, { cause: error })
    throw new Error(`kubeconfig ${source.file} is not a kubeconfig: ${firstLine(error)}`, { cause: error })
  }
  if (config.getCurrentCluster() === null) {
    throw new Error(
      `kubeconfig ${source.file} has no usable current-context: choose one with kubectl config use-context`,
    )
  }
  return config
}

/** A client for the current context of `config`. Opens no connection by itself. */
export function createClient(config: KubeConfig): KubernetesClient {
  const cluster = config.getCurrentCluster()
  if (cluster === null) throw new Error('the kubeconfig names no cluster')
  const base = new URL(cluster.server)
  const basePath = base.pathname.replace(/\/+$/, '')
  const agent = new Agent({ keepAlive: true, keepAliveMsecs: 30_000 })
  let told: { readonly time: number; readonly at: number } | undefined

  const open = async (
    method: string,
    path: string,
    query: RequestSettings['query'],
    extra: RequestOptions,
  ): Promise<RequestOptions> => {
    const options: RequestOptions = {}
    // Reads rotated tokens and certificates again; the connection pool is keyed by them.
    await config.applyToHTTPSOptions(options)
    const url = new URL(base)
    url.pathname = basePath + path
    for (const [key, value] of Object.entries(query ?? {})) if (value !== undefined) url.searchParams.set(key, value)
    return {
      ...options,
      ...extra,
      // A proxy needs the agent that client-node made for it.
      agent: cluster.proxyUrl === undefined ? agent : options.agent,
      protocol: url.protocol,
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? 443 : Number(url.port),
      path: url.pathname + url.search,
      method,
      headers: {
        accept: 'application/json',
        'user-agent': 'drawbridge',
        ...(options.headers as OutgoingHttpHeaders | undefined),
        ...(extra.headers as OutgoingHttpHeaders | undefined),
      },
    }
  }

  const request: KubernetesClient['request'] = async (method, path, settings = {}) => {
    const body = settings.body === undefined ? undefined : Buffer.from(JSON.stringify(settings.body))
    const timeoutMs = settings.timeoutMs ?? DEFAULT_TIMEOUT_MS
    const headers =
      body === undefined
        ? {}
        : { 'content-type': settings.contentType ?? 'application/json', 'content-length': body.length }
    const options = await open(method, path, settings.query, { headers }).catch((error: unknown) => {
      throw explain(error, cluster.server)
    })
    const { status, text, date } = await exchange(
      options,
      body,
      timeoutMs,
      settings.maxBytes ?? MAX_ANSWER_BYTES,
    ).catch((error: unknown) => {
      throw explain(error, cluster.server)
    })
    const time = Date.parse(date ?? '')
    if (!Number.isNaN(time)) told = { time, at: performance.now() }
    const json = parse(text)
    if (status < 200 || status > 299) throw refusal(status, json, method, path)
    if (json === undefined)
      throw new KubernetesError(status, 'NotJson', `${cluster.server} did not answer with JSON to ${method} ${path}`)
    return json
  }

  const requestText: KubernetesClient['requestText'] = async (path, timeoutMs = DEFAULT_TIMEOUT_MS) => {
    try {
      const options = await open('GET', path, undefined, { headers: { accept: ACCEPT_TEXT } })
      const { status, text } = await exchange(options, undefined, timeoutMs, MAX_TEXT_BYTES)
      if (status >= 200 && status <= 299) return text
      throw refusal(status, parse(text), 'GET', path)
    } catch (error) {
      throw explain(error, cluster.server)
    }
  }

  const watch: KubernetesClient['watch'] = async (path, query, onEvent, signal, idleMs = DEFAULT_IDLE_MS) => {
    try {
      const options = await open('GET', path, { ...query, watch: '1', allowWatchBookmarks: 'true' }, { signal })
      await readWatch(options, path, onEvent, idleMs)
    } catch (error) {
      if (signal.aborted) return
      throw explain(error, cluster.server)
    }
  }

  return {
    server: cluster.server,
    request,
    requestText,
    watch,
    serverTime: () => told && told.time + Math.floor(performance.now() - told.at),
    close: () => agent.destroy(),
  }
}

function exchange(
  options: RequestOptions,
  body: Buffer | undefined,
  timeoutMs: number,
  maxBytes: number,
): Promise<{ readonly status: number; readonly text: string; readonly date: string | undefined }> {
  return new Promise((resolve, reject) => {
    // Covers waiting for a connection, the answer's head and its body.
    const signal = AbortSignal.timeout(timeoutMs)
    const outgoing = httpsRequest({ ...options, signal }, (answer) => {
      const chunks: Buffer[] = []
      let size = 0
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > maxBytes) answer.destroy(new Error(`the answer exceeds ${maxBytes} bytes`))
        else chunks.push(chunk)
      })
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        resolve({ status: answer.statusCode ?? 0, text, date: answer.headers.date })
      })
      answer.on('error', reject)
      // An answer cut short ends without `end`.
      answer.on('close', () => reject(new Error('the connection ended in the middle of the answer')))
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function readWatch(
  options: RequestOptions,
  path: string,
  onEvent: (event: WatchEvent) => void,
  idleMs: number,
): Promise<void> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = httpsRequest(options, resolve)
    outgoing.setTimeout(idleMs, () =>
      outgoing.destroy(new KubernetesError(0, 'Timeout', `nothing heard for ${idleMs} ms`)),
    )
    outgoing.on('error', reject)
    outgoing.end()
  })
  if (answer.statusCode !== 200) {
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk as Buffer)
    throw refusal(answer.statusCode ?? 0, parse(Buffer.concat(chunks).toString('utf8')), 'GET', path)
  }
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const chunk of answer) {
    const lines = (rest + decoder.write(chunk as Buffer)).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MAX_LINE_CHARACTERS) throw new KubernetesError(0, 'NotJson', 'a watch line has no end')
    for (const line of lines) {
      const event = parse(line) as Partial<WatchEvent> | null | undefined
      if (typeof event?.type !== 'string') throw new KubernetesError(0, 'NotJson', 'a watch line is not a watch event')
      onEvent({ type: event.type, object: event.object })
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
}

/** An answer of the API server (a `Status` object) as an error. */
function refusal(status: number, json: unknown, method: string, path: string): KubernetesError {
  const body = (typeof json === 'object' && json !== null ? json : {}) as { reason?: unknown; message?: unknown }
  const reason = typeof body.reason === 'string' ? body.reason.slice(0, 64) : `HTTP${status}`
  const said =
    typeof body.message === 'string' ? body.message.slice(0, 1024) : `${method} ${path} was answered with ${status}`
  const hint =
    status === 401
      ? 'the API server does not accept these credentials'
      : status === 403
        ? 'not allowed (manifests/rbac.yaml has what Drawbridge needs)'
        : undefined
  return new KubernetesError(status, reason, hint === undefined ? said : `${hint}: ${said}`)
}

function explain(error: unknown, server: string): KubernetesError {
  if (error instanceof KubernetesError) return error
  const { code, name } = error as { code?: unknown; name?: unknown }
  if (name === 'TimeoutError' || (name === 'AbortError' && code === 'ABORT_ERR')) {
    return new KubernetesError(0, 'Timeout', `the Kubernetes API at ${server} did not answer in time`)
  }
  const hint = networkHint(code) ?? firstLine(error)
  return new KubernetesError(0, 'Unreachable', `the Kubernetes API at ${server} cannot be reached: ${hint}`)
}
