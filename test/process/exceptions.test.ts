/** Exceptions of a standalone server, from a file: granted, counted, listed. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cli, podReview, RunningProgram, temporaryFolder } from './server.ts'

const IMAGE = 'registry.example/shop/web:1'

const granted = (name: string, expiresAt: string): string => `
apiVersion: drawbridge.dev/v1alpha1
kind: AdmissionException
metadata: {name: ${name}}
spec: {namespaces: [shop], images: ["registry.example/shop/*:*"], serviceAccounts: [default], checks: [hostNamespaces], reason: a test, expiresAt: ${expiresAt}}
---`

describe('exceptions of a standalone server', () => {
  const folder = temporaryFolder()
  let server: RunningProgram
  before(async () => {
    writeFileSync(
      join(folder.path, 'exceptions.yaml'),
      granted('legacy', '2099-01-01T00:00:00Z') + granted('broken', 'never'),
    )
    const config = join(folder.path, 'config.yaml')
    writeFileSync(config, `standalone: {exceptions: ${join(folder.path, 'exceptions.yaml')}}\n`)
    server = await RunningProgram.start(folder.path, ['--config', config])
  })
  after(async () => {
    await server.kill()
    folder.remove()
  })

  const review = async (annotation: string, dryRun = false) => {
    const whole = podReview(IMAGE, { spec: { hostPID: true } }) as {
      request: { dryRun: boolean; object: { metadata: object } }
    }
    whole.request.dryRun = dryRun
    whole.request.object.metadata = { name: 'web', annotations: { 'drawbridge.dev/exception': annotation } }
    return (await server.review('/validate', whole)).body.response
  }

  it('are granted to whoever asks, counted without dry runs, and listed', async () => {
    assert.match((await review('other')).status.message, /exception "other" does not exist$/)
    assert.match(
      (await review('broken')).status.message,
      /exception "broken" is malformed and counts nowhere: spec.expiresAt: "never" /,
    )
    assert.equal((await review('legacy', true)).allowed, true)
    assert.equal((await review('legacy')).allowed, true)
    const { code, out } = cli(['exceptions', 'list', '--data', folder.path, '-o', 'json'])
    assert.equal(code, 0)
    const { items } = JSON.parse(out) as { items: { name: string; state: string; uses: number; lastUsedBy?: string }[] }
    assert.deepEqual(
      items.map(({ name, state, uses, lastUsedBy }) => [name, state, uses, lastUsedBy]),
      [
        ['broken', 'malformed', 0, undefined],
        ['legacy', 'active', 1, 'shop/Pod/web'],
      ],
    )
    assert.match((await server.admin('/metrics')).text, /^drawbridge_exception_uses_total 1$/m)
    assert.match(server.output(), /exception is malformed and grants nothing/)
  })
})
