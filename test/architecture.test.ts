/** Holds the import rules of ARCHITECTURE.md: who may import whom, and which packages. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = normalize(join(dirname(fileURLToPath(import.meta.url)), '../..'))

/** The composition roots: they wire everything, so they may import everything. */
const ROOTS = ['src/main.ts', 'src/serve.ts', 'src/alertThread.ts']

interface Rule {
  readonly folders: readonly string[]
  readonly packages: readonly string[]
}

/** Folder -> what it may import. A folder may always import itself. `node:` modules are named like packages. */
const RULES: Readonly<Record<string, Rule>> = {
  'src/kube': { folders: [], packages: [] },
  'src/policy': { folders: ['src/kube'], packages: [] },
  'src/mutation': { folders: ['src/kube', 'src/policy'], packages: [] },
  'src/seccomp': { folders: ['src/kube'], packages: [] },
  'src/alerts': { folders: ['src/kube'], packages: ['node:buffer', 'node:crypto'] },
  'src/verdicts': { folders: ['src/kube', 'src/alerts', 'src/policy'], packages: ['node:crypto', 'node:util'] },
  'src/safetyNet': { folders: ['src/kube', 'src/policy', 'src/verdicts'], packages: [] },
  'src/correlator': { folders: ['src/kube', 'src/alerts', 'src/verdicts'], packages: ['node:crypto', 'lru-cache'] },
  'src/adapters': {
    folders: [
      'src/kube',
      'src/policy',
      'src/alerts',
      'src/verdicts',
      'src/correlator',
      'src/doctor',
      'src/responses',
      'src/seccomp',
      'certs',
    ],
    packages: [
      '@kubernetes/client-node',
      'lru-cache',
      'zod',
      'node:crypto',
      'node:fs',
      'node:fs/promises',
      'node:path',
      'node:http',
      'node:https',
      'node:sqlite',
      'node:string_decoder',
      'node:timers/promises',
      'node:util',
    ],
  },
  'src/observe': { folders: [], packages: ['pino', 'prom-client', 'node:perf_hooks', 'node:v8'] },
  'src/config': { folders: [], packages: ['js-yaml', 'zod', 'node:crypto', 'node:fs/promises'] },
  'src/server': {
    folders: [],
    packages: ['express', 'node:https', 'node:http', 'node:net', 'node:tls', 'node:crypto'],
  },
  'src/cli': {
    folders: ['src/kube', 'src/policy', 'src/mutation', 'src/alerts', 'src/verdicts', 'src/correlator', 'src/config'],
    packages: [
      'commander',
      'fast-json-patch',
      'js-yaml',
      'node:fs',
      'node:fs/promises',
      'node:path',
      'node:https',
      'node:os',
    ],
  },
  'src/doctor': {
    folders: ['src/kube', 'src/policy', 'src/verdicts', 'src/cli', 'certs', 'manifests'],
    packages: ['js-yaml', 'node:crypto'],
  },
  webhooks: {
    folders: [
      'src/kube',
      'src/policy',
      'src/mutation',
      'src/alerts',
      'src/verdicts',
      'src/correlator',
      'src/server',
      'src/observe',
    ],
    packages: [],
  },
  certs: {
    folders: [],
    packages: ['node-forge', 'node:crypto', 'node:fs/promises', 'node:path', 'node:net', 'node:os', 'node:util'],
  },
  manifests: { folders: ['src/kube'], packages: ['js-yaml', 'node:fs', 'node:path', 'node:url'] },
  'src/responses': { folders: ['src/verdicts'], packages: ['lru-cache'] },
  'src/alertLedger.ts': {
    folders: ['src/kube', 'src/responses', 'src/verdicts', 'src/correlator', 'src/server', 'src/adapters'],
    packages: ['node:path'],
  },
  'src/alertThreadHost.ts': {
    folders: [
      'src/alertThread.ts',
      'src/threads.ts',
      'src/watchdog.ts',
      'src/memory.ts',
      'src/priority.ts',
      'src/server',
      'src/verdicts',
    ],
    packages: ['node:worker_threads'],
  },
  'src/admissionView.ts': {
    folders: [
      'src/kube',
      'src/policy',
      'src/safetyNet',
      'src/cli',
      'src/config',
      'src/observe',
      'src/adapters',
      'webhooks',
    ],
    packages: [],
  },
  'src/certificates.ts': { folders: ['certs', 'src/config', 'src/observe', 'src/adapters'], packages: ['node:path'] },
  'src/seccompSync.ts': { folders: ['src/kube', 'src/seccomp', 'src/observe', 'src/adapters'], packages: [] },
  'src/threads.ts': { folders: [], packages: ['node:worker_threads'] },
  'src/watchdog.ts': { folders: [], packages: [] },
  'src/memory.ts': { folders: [], packages: ['node:os', 'node:v8', 'node:vm'] },
  'src/priority.ts': { folders: [], packages: ['node:fs', 'node:os'] },
  'src/logLevel.ts': { folders: ['src/config', 'src/server'], packages: ['zod'] },
  'src/health.ts': {
    folders: ['src/server', 'src/admissionView.ts', 'src/alertThreadHost.ts', 'src/certificates.ts'],
    packages: [],
  },
  'src/registration.ts': { folders: ['manifests', 'src/observe'], packages: [] },
}

const folderOf = (file: string): string =>
  Object.keys(RULES).find((folder) => file === folder || file.startsWith(`${folder}/`)) ?? file

function sourceFiles(): string[] {
  return ['src', 'webhooks', 'certs', 'manifests'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(folder, file)),
  )
}

function importsOf(text: string): string[] {
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s*'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)\s*import\s*'([^']+)'/g
  return [...text.matchAll(pattern)].map((match) => (match[1] ?? match[2] ?? match[3])!)
}

/** One line for each import that the rules do not allow. */
function violations(file: string, text: string): string[] {
  if (ROOTS.includes(file)) return []
  const from = folderOf(file)
  const rule = RULES[from]
  if (rule === undefined) return [`${file}: no rule for this place; add one or move it`]
  return importsOf(text).flatMap((specifier) => {
    if (specifier.startsWith('.')) {
      const target = normalize(join(dirname(file), specifier))
      const to = folderOf(target)
      return to === from || rule.folders.includes(to) ? [] : [`${file}: may not import ${target}`]
    }
    return rule.packages.includes(specifier) ? [] : [`${file}: may not import the package ${specifier}`]
  })
}

describe('architecture', () => {
  it('has only imports that the rules allow', () => {
    const files = sourceFiles()
    assert.ok(files.length > 20)
    assert.deepEqual(
      files.flatMap((file) => violations(file, readFileSync(join(root, file), 'utf8'))),
      [],
    )
  })

  for (const [what, file, text] of [
    ['policy importing a webhook', 'src/policy/x.ts', "import { a } from '../../webhooks/validate.ts'"],
    ['kube importing policy', 'src/kube/x.ts', "import type { A } from '../policy/types.ts'"],
    ['server importing policy', 'src/server/x.ts', "import { judge } from '../policy/judge.ts'"],
    ['policy importing a package', 'src/policy/x.ts', "import { LRUCache } from 'lru-cache'"],
    ['a dynamic import of an adapter', 'src/correlator/x.ts', "await import('../adapters/sqlite.ts')"],
    ['a file outside every folder', 'src/other.ts', ''],
  ] as const) {
    it(`would catch ${what}`, () => assert.equal(violations(file, text).length, 1))
  }

  it('reads process.env and calls process.exit only in the composition roots', () => {
    const guilty = sourceFiles()
      .filter((file) => !ROOTS.includes(file))
      .filter((file) => /process\.(env|exit)\b/.test(readFileSync(join(root, file), 'utf8')))
    assert.deepEqual(guilty, [])
  })

  it('has no file of more than 330 lines without a reason', () => {
    const long = sourceFiles().filter((file) => {
      const text = readFileSync(join(root, file), 'utf8')
      return text.split('\n').length > 330 && !text.includes('Longer than 300 lines because')
    })
    assert.deepEqual(long, [])
  })
})
