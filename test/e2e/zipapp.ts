/** examples/zipapp as an image of this machine's Python, and what is uploaded to it. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { load } from 'js-yaml'

import { waitFor } from '../cluster/harness.ts'
import type { NodeCluster } from '../cluster/harness.ts'
import { root } from '../docs/markdown.ts'
import { compile } from './compile.ts'
import { applets } from './shared.ts'

const EXAMPLE = join(root, 'examples/zipapp')
const PAYLOADS = join(EXAMPLE, 'payloads')

/** What a payload says it did: a system call, and the errno that it got (0: it worked). */
export interface Report {
  readonly call: string
  readonly errno: number
  readonly note?: string
}

/** Every file that Python needs to run the application and its payloads; a module that is new there has to be imported here too. */
function pythonFiles(): Readonly<Record<string, string>> {
  const modules = 'ctypes, http.server, io, json, os, signal, socket, subprocess, sys, threading, time, zipfile'
  const script = `import ${modules}, encodings.ascii, encodings.idna, encodings.latin_1, encodings.cp437
print(*sorted({m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)}), sep='\\n')`
  const python = execFileSync('readlink', ['-f', '/usr/bin/python3'], { encoding: 'utf8' }).trim()
  const modulesFiles = execFileSync(python, ['-I', '-S', '-c', script], { encoding: 'utf8' }).trim().split('\n')
  const native = [python, ...modulesFiles.filter((file) => file.endsWith('.so'))]
  const libraries = execFileSync('ldd', native, { encoding: 'utf8' }).matchAll(/(\/[^ :]+\.so[^ :]*) \(/g)
  const files = [...modulesFiles, ...[...libraries].map(([, file]) => file!)]
  return Object.fromEntries([['usr/bin/python3', python], ...files.map((file) => [file.slice(1), file])])
}

/** Payloads, archives and images of one test file. Call `remove` at its end. */
export class ZipApp {
  readonly #folder = mkdtempSync(join(tmpdir(), 'drawbridge-zipapp-'))
  readonly #python = pythonFiles()
  readonly #cluster: NodeCluster

  constructor(cluster: NodeCluster) {
    this.#cluster = cluster
  }

  /** An image of its own, with a digest of its own: a verdict on one is none on another. */
  async makeImage(name: string): Promise<void> {
    const label = join(this.#folder, 'label')
    writeFileSync(label, name)
    const files = { 'bin/busybox': '/bin/busybox', ...applets(), ...this.#python }
    const own = { 'app.py': join(EXAMPLE, 'app.py'), 'etc/image': label }
    await this.#cluster.makeImage(name, { ...files, ...own }, ['/usr/bin/python3', '-I', '-S', '/app.py'])
  }

  /** The pod of examples/zipapp/pod.yaml with another name, image and security context. */
  pod(
    name: string,
    image: string,
    security: { readonly pod?: object; readonly container?: object } = {},
  ): Readonly<Record<string, unknown>> {
    const example = load(readFileSync(join(EXAMPLE, 'pod.yaml'), 'utf8')) as {
      readonly spec: { readonly containers: readonly object[]; readonly securityContext: object }
    }
    const [container] = example.spec.containers
    return {
      ...example,
      metadata: { name },
      spec: {
        ...example.spec,
        terminationGracePeriodSeconds: 0,
        securityContext: security.pod ?? example.spec.securityContext,
        containers: [{ ...container, image, ...(security.container && { securityContext: security.container }) }],
      },
    }
  }

  /**
   * Has the application run a payload: it is uploaded under a name that leads out of the folder for uploads.
   * @param payload file name in examples/zipapp/payloads; `@NAME@` in it is replaced by `values`
   */
  async run(
    namespace: string,
    pod: string,
    payload: string,
    values: Readonly<Record<string, string>> = {},
  ): Promise<Report> {
    const program = join(this.#folder, 'payload')
    if (payload.endsWith('.c')) compile(join(PAYLOADS, payload), program)
    else {
      const text = readFileSync(join(PAYLOADS, payload), 'utf8')
      writeFileSync(
        program,
        Object.entries(values).reduce((filled, [name, value]) => filled.replaceAll(`@${name}@`, value), text),
      )
    }
    const archive = join(this.#folder, 'upload.zip')
    const script = join(root, 'test/e2e/programs/archive.py')
    execFileSync('python3', [script, archive, `../../hooks/after-upload=${program}`])
    const answer = await this.#post(namespace, pod, readFileSync(archive))
    const line = answer.split('\n').find((text) => text.startsWith('{'))
    if (line === undefined) throw new Error(`the payload ${payload} said nothing: ${answer}`)
    return JSON.parse(line) as Report
  }

  /** Waits until the application listens. */
  async #post(namespace: string, pod: string, archive: Buffer): Promise<string> {
    const address = await this.#cluster.must(['-n', namespace, 'get', 'pod', pod, '-o', 'jsonpath={.status.podIP}'])
    const url = `http://${address}:8080/`
    await waitFor(
      () =>
        fetch(url).then(
          (answer) => answer.ok,
          () => false,
        ),
      30_000,
      `${namespace}/${pod} to listen`,
    )
    const answer = await fetch(`${url}upload`, { method: 'POST', body: new Uint8Array(archive) })
    return answer.text()
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
