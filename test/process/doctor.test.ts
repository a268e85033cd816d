/** `drawbridge doctor` as a command: of a server on this machine, and of nothing. */
import assert from 'node:assert/strict'
import { cli, dropAlert, RunningProgram, temporaryFolder } from './server.ts'

const NO_CLUSTER = { KUBECONFIG: undefined, KUBERNETES_SERVICE_HOST: undefined }

describe('drawbridge doctor', () => {
  it('looks at a standalone server', async () => {
    const folder = temporaryFolder()
    const server = await RunningProgram.start(folder.path)
    const look = () => cli(['doctor', '--data', folder.path], { env: NO_CLUSTER })
    try {
      const before = look()
      assert.equal(before.code, 0)
      assert.match(
        before.out,
        /^WARNING {2}sensors {6}no sensor has sent an alert since Drawbridge started, \d+s ago$/m,
      )
      assert.match(before.out, /^OK {7}server {7}ready: tls, verdicts, shutdown$/m)
      assert.match(before.out, /^OK {7}certificate {2}certificates are valid for 36[45] days$/m)
      await server.alert(dropAlert('registry.example/shop/web:1'))
      assert.match(look().out, /^OK {7}sensors {6}last alerts: falco \d+s ago$/m)
      await server.post(`${server.file.alerts}/alerts/falco`, '{}')
      assert.match(look().out, /^WARNING {2}sensors {6}1 alert request refused since the start: unauthorized$/m)
      await server.kill()
      const { code, out } = look()
      assert.equal(code, 1)
      assert.match(
        out,
        /^PROBLEM {2}server {2}the server does not answer: the server that wrote \S+ \(process \d+\) is gone/,
      )
    } finally {
      await server.kill()
      folder.remove()
    }
  })

  it('says what it could look at', () => {
    assert.deepEqual(cli(['doctor'], { env: NO_CLUSTER }), {
      code: 2,
      out: '',
      err: 'drawbridge: no cluster to look at: give --kubeconfig FILE, or --data DIR for a server on this machine\n',
    })
    const { code, err } = cli(['doctor', '--data', '/nowhere'], { env: NO_CLUSTER })
    assert.equal(code, 2)
    assert.match(err, /^drawbridge: \/nowhere\/server\.json: no server is running with this data folder/)
    assert.deepEqual(cli(['doctor'], { env: { ...NO_CLUSTER, KUBECONFIG: '/nowhere/config' } }), {
      code: 2,
      out: '',
      err: 'drawbridge: kubeconfig /nowhere/config does not exist\n',
    })
  })
})
