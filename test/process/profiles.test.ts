/** A standalone server with profiles from a folder, as the bundled program. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cli, podReview, RunningProgram, temporaryFolder } from './server.ts'

const PROFILE = `
apiVersion: drawbridge.dev/v1alpha1
kind: AdmissionProfile
metadata: { name: web-tier }
spec: { extends: { level: baseline }, forbidLatestTag: true, hardening: { dropAllCapabilities: true } }
`

describe('standalone.profiles', () => {
  const folder = temporaryFolder()
  after(() => folder.remove())
  const write = (profile: string): string => {
    mkdirSync(join(folder.path, 'profiles'), { recursive: true })
    writeFileSync(join(folder.path, 'profiles', 'web-tier.yaml'), profile)
    const config = join(folder.path, 'drawbridge.yaml')
    const standalone = {
      namespaceLabels: { 'drawbridge.dev/enforce': 'web-tier' },
      profiles: join(folder.path, 'profiles'),
    }
    writeFileSync(config, JSON.stringify({ standalone }))
    return config
  }

  it('enforces and injects what the profile says', async () => {
    const server = await RunningProgram.start(folder.path, ['--config', write(PROFILE)])
    try {
      const mutated = await server.review('/mutate', podReview('nginx:1'))
      assert.deepEqual(JSON.parse(Buffer.from(mutated.body.response.patch, 'base64').toString()), [
        { op: 'add', path: '/spec/containers/0/securityContext', value: { capabilities: { drop: ['ALL'] } } },
      ])
      assert.equal((await server.review('/validate', podReview('nginx:1'))).body.response.allowed, true)
      const denied = await server.review('/validate', podReview('nginx'))
      assert.match(denied.body.response.status.message, /breaks profile web-tier:latest:\n- latest tag \(latestTag\)/)
    } finally {
      await server.stop()
    }
  })

  it('does not start with a profile that cannot be used, and says why', () => {
    const config = write(PROFILE.replace('forbidLatestTag', 'forbidLatest'))
    const { code, err } = cli(['serve', '--standalone', '--data', folder.path, '--port', '0', '--config', config])
    assert.equal(code, 2)
    assert.match(err, /web-tier\.yaml: AdmissionProfile web-tier: spec: unknown field "forbidLatest"\n$/)
  })
})
