/** The profiles of manifests/seccomp in real containers: what each denies fails with EPERM, and what it does not deny works. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { seccompProfiles } from '../../manifests/seccompProfiles.ts'
import type { SeccompProfile, SyscallRule } from '../../manifests/seccompProfiles.ts'
import { waitFor } from '../cluster/harness.ts'
import type { NodeCluster } from '../cluster/harness.ts'
import { root } from '../docs/markdown.ts'
import { compile, syscallNumbers } from './compile.ts'
import { AUDIT_ARCH, runFilter, VERDICT } from './filter.ts'
import { IMAGE } from './image.ts'
import { installation, runPod } from './shared.ts'
import { ZipApp } from './zipapp.ts'

const CALLS = 'registry.example/calls:1'
const ZIPAPP = 'registry.example/zipapp:seccomp'
const EPERM = 1
const ENOSYS = 38

/** Newer calls are unknown to the libseccomp that Debian 12's runc is linked with (2.5.4): they are denied as everything unknown. */
const LAST_KNOWN = 448

const denials = ({ syscalls }: SeccompProfile): readonly SyscallRule[] =>
  syscalls.filter(({ action, errnoRet }) => action === 'SCMP_ACT_ERRNO' && errnoRet === EPERM)

/** Every call that some profile denies whatever its arguments. */
const denied = [
  ...new Set(
    Object.values(seccompProfiles).flatMap((profile) =>
      denials(profile)
        .filter(({ args }) => args === undefined)
        .flatMap(({ names }) => names),
    ),
  ),
].sort()

/** What calls.c tries with arguments of its own -> the profiles that deny it. */
const EXECUTABLE_MEMORY = ['no-new-exec-memory']
const EVERY = Object.keys(seccompProfiles)
const SPECIAL: Readonly<Record<string, readonly string[]>> = {
  'clone(CLONE_NEWUSER)': EVERY,
  'personality(READ_IMPLIES_EXEC)': EVERY,
  'socket(AF_ALG)': EVERY,
  'socket(AF_VSOCK)': EVERY,
  'socket(AF_INET)': [],
  'mmap(write)': [],
  'mmap(exec)': [],
  'mmap(write, exec)': EXECUTABLE_MEMORY,
  'mprotect(read)': [],
  'mprotect(exec)': EXECUTABLE_MEMORY,
  'pkey_mprotect(exec)': EXECUTABLE_MEMORY,
  shmat: [],
  'shmat(exec)': EXECUTABLE_MEMORY,
}

/** Files that do what denied calls do: docs/seccomp.md says that no profile keeps anybody from them. */
const OPEN = ['/proc/PID/mem', '/proc/self/mem']

/** Root with every capability, so that EPERM can only come from the filter. */
const pod = (name: string): Readonly<Record<string, unknown>> => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'main',
        image: CALLS,
        imagePullPolicy: 'Never',
        securityContext: { capabilities: { add: ['ALL'] } },
      },
    ],
  },
})

describe('seccomp profiles on a real node', () => {
  let cluster: NodeCluster
  let folder: string
  let zipapp: ZipApp

  before(async function () {
    this.timeout(120_000)
    ;({ cluster } = installation())
    folder = mkdtempSync(join(tmpdir(), 'drawbridge-seccomp-'))
    const programs = join(root, 'test/e2e/programs')
    writeFileSync(join(folder, 'names.h'), denied.map((name) => `CALL(${name})\n`).join(''))
    compile(join(programs, 'calls.c'), join(folder, 'calls'), folder)
    compile(join(programs, 'filter.c'), join(folder, 'filter'))
    await cluster.makeImages([CALLS], { 'bin/calls': join(folder, 'calls') }, ['/bin/calls'])
    zipapp = new ZipApp(cluster)
    await zipapp.makeImages([ZIPAPP])
    cluster.installSeccompProfiles(join(root, 'manifests/seccomp'))
    await cluster.createNamespace('seccomp-none')
    for (const name of Object.keys(seccompProfiles))
      await cluster.createNamespace(`seccomp-${name}`, { 'drawbridge.dev/seccomp': `localhost.${name}` })
  })
  after(() => {
    zipapp?.remove()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  /** What the program says in a pod of this namespace: call -> errno. */
  async function outcome(namespace: string): Promise<Map<string, string>> {
    await runPod(cluster, namespace, pod('calls'))
    const text = await waitFor(
      async () => {
        const logs = await cluster.must(['-n', namespace, 'logs', 'calls'])
        return logs.endsWith('done\n') && logs
      },
      30_000,
      'what the program says',
    )
    const lines = text.trimEnd().split('\n').slice(0, -1)
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]))
  }

  /** The filter of the container as the kernel has it. */
  async function filterOf(namespace: string): Promise<string> {
    const id = await cluster.must([
      '-n',
      namespace,
      'get',
      'pod',
      'calls',
      '-o',
      'jsonpath={.status.containerStatuses[0].containerID}',
    ])
    return execFileSync(join(folder, 'filter'), [String(cluster.pidOf(id.replace(/^.*\/\//u, '')))], {
      encoding: 'utf8',
    })
  }

  it('has a baseline: without a profile, root with all capabilities meets EPERM nowhere', async () => {
    const errnos = await outcome('seccomp-none')
    for (const [call, errno] of errnos) assert.notEqual(errno, String(EPERM), call)
    assert.equal(errnos.size, denied.length + Object.keys(SPECIAL).length + OPEN.length + 2)
  })

  for (const [name, profile] of Object.entries(seccompProfiles)) {
    it(`${name} denies with EPERM what it says it denies, and nothing else of what the others deny`, async () => {
      const errnos = await outcome(`seccomp-${name}`)
      const rules = profile.syscalls
      const passes = (call: string): boolean =>
        rules.some(({ names, action }) => names.includes(call) && action !== 'SCMP_ACT_ERRNO')
      for (const call of denied)
        if (passes(call)) assert.notEqual(errnos.get(call), String(EPERM), call)
        else assert.equal(errnos.get(call), String(EPERM), call)
      for (const [call, deniers] of Object.entries(SPECIAL))
        if (deniers.includes(name)) assert.equal(errnos.get(call), String(EPERM), call)
        else assert.notEqual(errnos.get(call), String(EPERM), call)
      for (const file of OPEN) assert.equal(errnos.get(file), '0', file)
      assert.equal(errnos.get('clone3'), String(ENOSYS))
      assert.equal(errnos.get('int80'), profile.architectures.includes('SCMP_ARCH_X86') ? '0' : 'SIGSYS')
    })

    if (!name.startsWith('audit-'))
      it(`${name} lets the workload of examples/ do its work`, async () => {
        await runPod(cluster, `seccomp-${name}`, zipapp.pod('zipapp', ZIPAPP))
        const report = await zipapp.run(`seccomp-${name}`, 'zipapp', 'dropped_executable.c')
        assert.deepEqual([report.call, report.errno], ['execve', 0])
      })

    for (const architecture of ['x86-64', 'arm64'] as const)
      it(`${name} as the kernel has it says the same of every rule for ${architecture}`, async () => {
        const filter = await filterOf(`seccomp-${name}`)
        const numbers = syscallNumbers(architecture)
        let checked = 0
        for (const { names, action, errnoRet, args = [] } of profile.syscalls) {
          const values = [0n, 0n, 0n, 0n, 0n, 0n]
          for (const { index, op, value, valueTwo = 0 } of args)
            values[index] = BigInt(op === 'SCMP_CMP_EQ' ? value : op === 'SCMP_CMP_LT' ? value - 1 : valueTwo)
          const expected = {
            SCMP_ACT_ALLOW: VERDICT.allow,
            SCMP_ACT_LOG: VERDICT.log,
            SCMP_ACT_ERRNO: VERDICT.errno | (errnoRet ?? 0),
          }[action]
          for (const call of names) {
            const number = numbers.get(call)
            if (number === undefined || number > LAST_KNOWN) continue
            const answer = runFilter(filter, { architecture: AUDIT_ARCH[architecture], number, args: values })
            assert.equal(answer.toString(16), expected.toString(16), `${call}(${values.join(', ')})`)
            checked += 1
          }
        }
        assert.ok(checked > 250, String(checked))
      })
  }

  /** How `drawbridge --version` ends, in the image that Drawbridge itself runs from: Node. */
  async function node(namespace: string): Promise<string> {
    const containers = [{ name: 'main', image: IMAGE, imagePullPolicy: 'Never', args: ['--version'] }]
    const object = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'node' },
      spec: { restartPolicy: 'Never', containers },
    }
    await cluster.must(['-n', namespace, 'apply', '-f', '-'], JSON.stringify(object))
    return waitFor(
      async () => {
        const phase = await cluster.must(['-n', namespace, 'get', 'pod', 'node', '-o', 'jsonpath={.status.phase}'])
        return (phase === 'Succeeded' || phase === 'Failed') && phase
      },
      30_000,
      'Node to end',
    )
  }

  it('lets Node run under web, and not under no-new-exec-memory, as docs/seccomp.md says', async () => {
    assert.equal(await node('seccomp-web'), 'Succeeded')
    assert.equal(await node('seccomp-no-new-exec-memory'), 'Failed')
  })
})
