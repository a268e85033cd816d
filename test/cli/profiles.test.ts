import assert from 'node:assert/strict'
import { check } from '../../src/cli/check.ts'
import type { CheckedObject, CheckOptions } from '../../src/cli/check.ts'
import { UnusableError } from '../../src/cli/io.ts'
import { parseObjects } from '../../src/cli/objects.ts'
import { profilesAmong } from '../../src/cli/profiles.ts'

const PROFILE = `
apiVersion: drawbridge.dev/v1alpha1
kind: AdmissionProfile
metadata: { name: web-tier }
spec: { extends: { level: privileged }, requireDigest: true, hardening: { runAsNonRoot: true } }
`
const NAMESPACE = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { drawbridge.dev/enforce: web-tier } }
`
const POD = `
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: shop }
spec: { containers: [{ name: web, image: 'nginx:1' }] }
`

const run = async (input: string, options: Partial<CheckOptions> = {}): Promise<readonly CheckedObject[]> => {
  let out = ''
  await check(
    { files: ['-'], namespace: 'default', namespaceLabels: [], podSecurityLabels: false, output: 'json', ...options },
    {
      out: (text) => (out += text),
      err: () => undefined,
      readStdin: () => Promise.resolve(Buffer.from(input)),
      user: 'jane',
      now: () => 0,
    },
  )
  return (JSON.parse(out) as { readonly objects: readonly CheckedObject[] }).objects
}

describe('check with AdmissionProfiles', () => {
  it('uses profiles and labels that it finds in the input, whatever the order', async () => {
    const pod = (await run([POD, NAMESPACE, PROFILE].join('---\n')))[0]
    assert.deepEqual(pod?.checks, ['imageDigest'])
    assert.deepEqual(pod?.patch, [
      {
        op: 'add',
        path: '/spec/securityContext',
        value: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      },
    ])
  })

  it('uses profiles of --profiles for --profile', async () => {
    const [pod] = await run(POD, { profiles: ['examples/profiles/web-tier.yaml'], profile: 'web-tier' })
    assert.ok(pod?.checks.includes('allowedRegistries'))
  })

  it('judges by restricted, and says so, where nobody knows the profile', async () => {
    const [pod] = await run([POD, NAMESPACE].join('---\n'))
    assert.equal(pod?.result, 'denied')
    assert.match(pod?.message ?? '', /"web-tier" is no profile; restricted:latest is enforced/u)
  })

  const problems: readonly (readonly [string, string, string])[] = [
    [
      'one that cannot be read',
      PROFILE.replace('requireDigest', 'requiredDigest'),
      'f.yaml: AdmissionProfile web-tier: spec: unknown field "requiredDigest"',
    ],
    [
      'one that contradicts itself',
      PROFILE.replace('web-tier', 'standard'),
      'f.yaml: AdmissionProfile standard: metadata.name: standard is a built-in profile',
    ],
    [
      'two of one name',
      `${PROFILE}---${PROFILE}`,
      'f.yaml: AdmissionProfile web-tier: there is another one with this name',
    ],
    [
      'an unreadable name',
      PROFILE.replace('web-tier', '"\\e[2J"'),
      'f.yaml: AdmissionProfile \\u{1b}[2J: metadata.name: "\\u{1b}[2J" is no DNS label (small letters, digits, dashes; at most 63), and no namespace label could name it',
    ],
  ]
  for (const [what, text, message] of problems) {
    it(`cannot use ${what}`, () => {
      assert.throws(
        () => profilesAmong(parseObjects(text, 'f.yaml')),
        (error) => error instanceof UnusableError && error.message === message,
      )
    })
  }

  it('leaves objects of other groups alone', () => {
    const foreign = PROFILE.replace('drawbridge.dev/v1alpha1', 'example.org/v1')
    assert.equal(profilesAmong(parseObjects(foreign, 'f.yaml')).size, 0)
  })
})
