import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { manifestsDirectory, renderVerdictGuard } from '../../manifests/render.ts'
import { verdictGuardObjects } from '../../manifests/verdictGuard.ts'

const isDrawbridge = (user?: string): string => {
  const [policy] = verdictGuardObjects({ ownNamespace: 'gate', user })
  const { variables } = policy!['spec'] as { readonly variables: readonly { name: string; expression: string }[] }
  return variables.find(({ name }) => name === 'isDrawbridge')!.expression
}

describe('the guard of verdicts', () => {
  it('manifests/verdict-guard.yaml is what verdictGuard.ts gives (UPDATE_MANIFESTS=yes rewrites it)', () => {
    const file = join(manifestsDirectory(), 'verdict-guard.yaml')
    const text =
      '# Generated from manifests/verdictGuard.ts by `UPDATE_MANIFESTS=yes npm run test:unit`; do not edit.\n' +
      '# docs/verdicts.md says who may decide what. `drawbridge manifests` prints it, with --user where Drawbridge is not this service account.\n' +
      renderVerdictGuard({ ownNamespace: 'drawbridge' })
    if (process.env['UPDATE_MANIFESTS'] === 'yes') writeFileSync(file, text)
    assert.equal(readFileSync(file, 'utf8'), text)
  })

  for (const [user, expression] of [
    [undefined, 'request.userInfo.username == "system:serviceaccount:gate:drawbridge"'],
    ['jane@example.org', 'request.userInfo.username == "jane@example.org"'],
    ['" || true || "', String.raw`request.userInfo.username == "\" || true || \""`],
    ['\\" || true', String.raw`request.userInfo.username == "\\\" || true"`],
  ] as const) {
    it(`takes ${JSON.stringify(user)} for a name and nothing else`, () => assert.equal(isDrawbridge(user), expression))
  }

  for (const user of ['', 'a\nb', '\ud800', 'a'.repeat(513)]) {
    it(`refuses ${JSON.stringify(user.slice(0, 20))} as the user that Drawbridge is`, () => {
      assert.throws(
        () => verdictGuardObjects({ ownNamespace: 'drawbridge', user }),
        /none of them a control character$/,
      )
    })
  }
})
