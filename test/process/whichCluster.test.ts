/** Which cluster a command asks: that of --kubeconfig, else that of KUBECONFIG, as kubectl does. */
import assert from 'node:assert/strict'
import { cli } from './server.ts'

const NOWHERE = { KUBECONFIG: '/nowhere/config', KUBERNETES_SERVICE_HOST: undefined }

describe('the cluster that a command asks', () => {
  for (const args of [['verdicts', 'list'], ['verdicts', 'blocked'], ['exceptions', 'list'], ['scan']]) {
    it(`is that of KUBECONFIG for ${args.join(' ')}`, () => {
      const data = args[1] === 'list' ? ['--data', '/nowhere/data'] : []
      assert.equal(
        cli([...args, ...data], { env: NOWHERE }).err,
        'drawbridge: kubeconfig /nowhere/config does not exist\n',
      )
    })
  }

  it('is not named by an empty KUBECONFIG', () => {
    const env = { ...NOWHERE, KUBECONFIG: '' }
    assert.match(cli(['scan'], { env }).err, /^drawbridge: not inside a cluster .*: give --kubeconfig FILE\n$/)
    assert.match(cli(['doctor'], { env }).err, /^drawbridge: no cluster to look at: give --kubeconfig FILE/)
    assert.match(
      cli(['verdicts', 'list', '--data', '/nowhere/data'], { env }).err,
      /^drawbridge: \/nowhere\/data\/server\.json: no server is running with this data folder; .* --kubeconfig\n$/,
    )
  })

  it('has to be named for serve, and the other way is named too', () => {
    assert.deepEqual(cli(['serve'], { env: NOWHERE }), {
      code: 2,
      out: '',
      err: 'drawbridge: not inside a cluster (KUBERNETES_SERVICE_HOST is not set): give --kubeconfig FILE, or --standalone to run without one\n',
    })
  })
})
