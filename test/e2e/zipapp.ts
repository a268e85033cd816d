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

/**
 * Every file that Python needs to run the application and its payloads, by its path in the image; a module that is new there has to be imported here too.
 * Modules are compiled, into `folder`: a container that has to do so itself takes a second longer to listen, at each start of Python.
 */
function pythonFiles(folder: string): Readonly<Record<string, string>> {
  const modules = 'ctypes, http.server, io, json, os, signal, socket, subprocess, sys, threading, time, zipfile'
  // By hash and unchecked: files of an image have no time of their own.
  const script = `import ${modules}, encodings.ascii, encodings.idna, encodings.latin_1, encodings.cp437
import importlib.util, py_compile
for number, file in enumerate(sorted({m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)})):
    print(file, file)
    if file.endswith('.py'):
        compiled = sys.argv[1] + '/' + str(number) + '.pyc'
        py_compile.compile(file, compiled, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        print(importlib.util.cache_from_source(file), compiled)`
  const python = execFileSync('readlink', ['-f', '/usr/bin/python3'], { encoding: 'utf8' }).trim()
  const lines = execFileSync(python, ['-I', '-S', '-c', script, folder], { encoding: 'utf8' }).trim().split('\n')
  const files = lines.map((line) => line.split(' ') as [path: string, file: string])
  const native = [python, ...files.map(([path]) => path).filter((path) => path.endsWith('.so'))]
  const libraries = execFileSync('ldd', native, { encoding: 'utf8' }).matchAll(/(\/[^ :]+\.so[^ :]*) \(/g)
  const all = [
    ['/usr/bin/python3', python] as const,
    ...files,
    ...[...libraries].map(([, file]) => [file!, file!] as const),
  ]
  return Object.fromEntries(all.map(([path, file]) => [path.slice(1), file]))
}

/** Payloads, archives and images of one test file. Call `remove` at its end. */
export class ZipApp {
  readonly #folder = mkdtempSync(join(tmpdir(), 'drawbridge-zipapp-'))
  readonly #python = pythonFiles(this.#folder)
  readonly #cluster: NodeCluster

  constructor(cluster: NodeCluster) {
    this.#cluster = cluster
  }

  /** Images of the application, each with a digest of its own: a verdict on one is none on another. */
  async makeImages(names: readonly string[]): Promise<void> {
    const files = {
      'bin/busybox': '/bin/busybox',
      'usr/bin/env': '@/bin/busybox',
      ...applets(),
      ...this.#python,
      'app.py': join(EXAMPLE, 'app.py'),
    }
    await this.#cluster.makeImages(names, files, ['/usr/bin/python3', '-I', '-S', '/app.py'])
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
