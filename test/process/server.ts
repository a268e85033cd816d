/** Runs the bundled program as a user does, and talks to it over TLS. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository. */
export const root = normalize(join(dirname(fileURLToPath(import.meta.url)), '../../..'))
const program = join(root, 'bin/drawbridge.js')

export interface ServerFile {
  readonly webhook: string
  readonly alerts: string
  readonly admin: string
  readonly ca: string
  readonly alertToken: string
  readonly adminToken: string
}

export interface Answer {
  readonly status: number
  readonly body: any // oxlint-disable-line typescript/no-explicit-any
  readonly text: string
  readonly headers: Readonly<Record<string, unknown>>
}

/** Waits for a condition with a deadline; never just for time. */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  deadline = 20_000,
): Promise<T> {
  const end = performance.now() + deadline
  for (;;) {
    const result = await condition()
    if (result !== undefined && result !== false) return result
    if (performance.now() > end) assert.fail(`waited ${deadline} ms for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** A data folder that the test throws away. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'drawbridge-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** One request; the credential is part of the options of node:https. */
export function call(
  url: string,
  options: {
    readonly ca: string
    readonly method?: string
    readonly body?: string | Buffer
    readonly headers?: Record<string, string>
    readonly agent?: Agent
  },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method: options.method ?? 'POST',
        ca: readFileSync(options.ca),
        headers: options.headers ?? {},
        ...(options.agent && { agent: options.agent }),
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8')
          let body: unknown
          try {
            body = JSON.parse(text)
          } catch {
            body = undefined
          }
          resolve({ status: response.statusCode ?? 0, body, text, headers: response.headers })
        })
      },
    )
    sent.on('error', reject)
    sent.end(options.body)
  })
}

export class RunningProgram {
  readonly child: ChildProcess
  readonly file: ServerFile
  output: () => string
  readonly exited: Promise<number | null>

  private constructor(child: ChildProcess, file: ServerFile, output: () => string, exited: Promise<number | null>) {
    this.child = child
    this.file = file
    this.output = output
    this.exited = exited
  }

  /**
   * Starts a server on free ports and waits until it is ready: standalone, unless `mode` says which cluster. What `extra` says of
   * ports wins. It ends with this process, whatever a test forgot.
   */
  static async start(
    data: string,
    extra: readonly string[] = [],
    mode: readonly string[] = ['--standalone'],
    env: NodeJS.ProcessEnv = {},
  ): Promise<RunningProgram> {
    const child = spawn(
      process.execPath,
      [program, 'serve', ...mode, '--data', data, '--port', '0', '--admin-port', '0', ...extra],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        cwd: data,
        env: { ...process.env, ...env },
      },
    )
    const killNow = (): void => void child.kill('SIGKILL')
    process.once('exit', killNow)
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    const exited = new Promise<number | null>((resolve) =>
      child.on('exit', (code) => {
        process.removeListener('exit', killNow)
        resolve(code)
      }),
    )
    let ended = false
    void exited.then(() => (ended = true))
    const path = join(data, 'server.json')
    await until(
      'server.json of this process',
      () => {
        if (ended) assert.fail(`the server did not start:\n${output}`)
        if (!existsSync(path)) return undefined
        return (JSON.parse(readFileSync(path, 'utf8')) as { pid: number }).pid === child.pid
      },
      60_000,
    )
    const file = JSON.parse(readFileSync(path, 'utf8')) as ServerFile
    return new RunningProgram(child, file, () => output, exited)
  }

  review(path: '/mutate' | '/validate', body: unknown): Promise<Answer> {
    return this.post(
      this.file.webhook + path,
      typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    )
  }

  alert(body: unknown, source = 'falco'): Promise<Answer> {
    return this.post(
      `${this.file.alerts}/alerts/${source}`,
      typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
      {
        Authorization: `Bearer ${this.file.alertToken}`,
      },
    )
  }

  admin(path: string): Promise<Answer> {
    return call(this.file.admin + path, {
      ca: this.file.ca,
      method: 'GET',
      headers: { Authorization: `Bearer ${this.file.adminToken}` },
    })
  }

  post(url: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
    return call(url, { ca: this.file.ca, body, headers: { 'Content-Type': 'application/json', ...headers } })
  }

  /** Kills without a chance to write anything. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }

  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM')
    return this.exited
  }
}

/** Runs a command of the CLI to its end. */
export function cli(
  args: readonly string[],
  options: { readonly input?: string; readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): { readonly code: number | null; readonly out: string; readonly err: string } {
  const result = spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
    cwd: options.cwd ?? root,
    input: options.input ?? '',
    env: { ...process.env, ...options.env },
    timeout: 30_000,
  })
  return { code: result.status, out: result.stdout, err: result.stderr }
}

/** An AdmissionReview of a pod; `standard` allows it unless the image is flagged. */
export function podReview(
  image: string,
  options: {
    readonly namespace?: string
    readonly container?: object
    readonly spec?: object
    readonly uid?: string
  } = {},
): object {
  const { namespace = 'shop', container = {}, spec = {}, uid = 'c0ffee00-0000-4000-8000-000000000001' } = options
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid,
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      name: 'web',
      namespace,
      operation: 'CREATE',
      userInfo: { username: 'jane', groups: ['system:authenticated'] },
      object: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'web', namespace },
        spec: {
          securityContext: { seccompProfile: { type: 'RuntimeDefault' }, runAsNonRoot: true },
          ...spec,
          containers: [{ name: 'web', image, ...container }],
        },
      },
      oldObject: null,
      dryRun: false,
    },
  }
}

/** Falco's alert for a dropped executable, as Falco 0.44 writes it, with this image and this time. */
export function dropAlert(
  image: string,
  options: { readonly time?: Date; readonly container?: string; readonly rule?: string } = {},
): object {
  const colon = image.lastIndexOf(':')
  return {
    hostname: 'node1',
    output: 'Critical Executing binary not part of base image',
    output_fields: {
      // One container runs one image: the id follows from it.
      'container.id': options.container ?? createHash('sha256').update(image).digest('hex').slice(0, 12),
      'container.image.repository': image.slice(0, colon),
      'container.image.tag': image.slice(colon + 1),
      'container.name': 'web',
      // Above 2^53, as in nearly every real alert.
      // oxlint-disable-next-line no-loss-of-precision
      'evt.time': 1795327049490412397,
      'k8s.ns.name': 'shop',
      'k8s.pod.name': 'web-7d4b9c6f5-x2x8q',
      'proc.exepath': '/tmp/sleep',
    },
    priority: 'Critical',
    rule: options.rule ?? 'Drop and execute new binary in container',
    source: 'syscall',
    tags: ['container', 'maturity_stable'],
    time: (options.time ?? new Date()).toISOString().replace('Z', '000000Z'),
  }
}
