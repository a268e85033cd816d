import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { startCluster, waitFor } from './harness.ts'
import { sharedCluster } from './shared.ts'

describe('the test cluster', () => {
  it('answers kubectl, and keeps its exit code and both outputs', async () => {
    const cluster = sharedCluster()
    const good = await cluster.kubectl(['get', 'namespace', 'default', '-o', 'name'])
    assert.deepEqual(good, { code: 0, stdout: 'namespace/default\n', stderr: '' })
    const bad = await cluster.kubectl(['get', 'namespace', 'no-such-namespace'])
    assert.equal(bad.code, 1)
    assert.match(bad.stderr, /"no-such-namespace" not found/)
  })

  it('makes users that RBAC knows nothing of', async () => {
    const cluster = sharedCluster()
    const alice = await cluster.userKubeconfig('alice', ['devs', 'testers'])
    const who = await cluster.kubectl(
      ['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username} {.status.userInfo.groups}'],
      undefined,
      alice,
    )
    assert.equal(who.stdout, 'alice ["devs","testers","system:authenticated"]')
    const pods = await cluster.kubectl(['get', 'pods'], undefined, alice)
    assert.match(pods.stderr, /pods is forbidden: User "alice" cannot list/)
  })

  it('runs a second cluster beside the first, and removes what a killed run left without touching foreign pids', async function () {
    this.timeout(60_000)
    const shared = sharedCluster()
    const runs = join(shared.kubeconfig, '../..')
    // A bystander whose pid stands in a stale pid file, as after a reboot or a wrap of the pid counter.
    const bystander = spawn('sleep', ['300'], { stdio: 'ignore' })
    const stale = join(runs, 'stale-run')
    mkdirSync(stale, { recursive: true })
    writeFileSync(join(stale, 'owner'), '999999999 1\n')
    writeFileSync(join(stale, 'apiserver.pid'), `${bystander.pid}\n`)
    const second = await startCluster({ apiArgs: ['--disable-admission-plugins=PodSecurity'] })
    try {
      assert.equal(existsSync(stale), false)
      assert.equal(bystander.exitCode, null)
      assert.equal(bystander.signalCode, null)
      await second.createNamespace('only-here', { colour: 'green' })
      assert.equal((await shared.kubectl(['get', 'namespace', 'only-here'])).code, 1)
    } finally {
      bystander.kill('SIGKILL')
      await second.stop()
    }
    assert.equal(existsSync(second.kubeconfig), false)
    assert.equal((await shared.kubectl(['get', '--raw', '/readyz'])).stdout, 'ok')
  })

  it('says what it waited for', async () => {
    await assert.rejects(() => waitFor(() => false, 30, 'the moon'), /gave up after 30 ms waiting for: the moon/)
  })
})
