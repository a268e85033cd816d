import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { guardObjects } from '../../manifests/guard.ts'
import type { GuardOptions } from '../../manifests/guard.ts'
import { manifestsDirectory, renderGuard } from '../../manifests/render.ts'
import { LABEL } from '../../src/kube/names.ts'
import { ALLOWED, CREATIONS, labelsOf, show, UPDATES, USERS } from './guardCases.ts'
import type { User } from './guardCases.ts'
import { guardModel } from './guardModel.ts'

/** The CEL expressions of the policy by the name of their variable. */
const variablesOf = (options: Partial<GuardOptions> = {}): ReadonlyMap<string, string> => {
  const [policy] = guardObjects({ ownNamespace: 'drawbridge', ...options })
  const { variables } = policy!['spec'] as { readonly variables: readonly { name: string; expression: string }[] }
  return new Map(variables.map(({ name, expression }) => [name, expression]))
}

describe('the guard', () => {
  it('manifests/guard.yaml is what guard.ts gives (UPDATE_MANIFESTS=yes rewrites it)', () => {
    const file = join(manifestsDirectory(), 'guard.yaml')
    const text =
      '# Generated from manifests/guard.ts by `UPDATE_MANIFESTS=yes npm run test:unit`; do not edit.\n' +
      '# docs/opt-in.md says who may change what. `drawbridge manifests` prints it with --pod-security-labels and --require-labels.\n' +
      renderGuard({ ownNamespace: 'drawbridge' })
    if (process.env['UPDATE_MANIFESTS'] === 'yes') writeFileSync(file, text)
    assert.equal(readFileSync(file, 'utf8'), text)
  })

  it('decides about every label there is', () => {
    const free = variablesOf().get('free') ?? ''
    for (const label of Object.values(LABEL)) assert.ok(free.includes(`\n  '${label}': `), label)
    assert.ok(!free.includes('pod-security'))
    const both = variablesOf({ podSecurityLabels: true }).get('free') ?? ''
    for (const name of ['enforce', 'warn', 'audit'])
      for (const suffix of ['', '-version'])
        assert.ok(both.includes(`\n  'pod-security.kubernetes.io/${name}${suffix}': `), name + suffix)
  })

  it('checks no more than one authorization in one expression: two fit into its budget, three do not', () => {
    for (const [name, expression] of variablesOf({ podSecurityLabels: true }))
      assert.ok(expression.split('authorizer').length <= 2, name)
  })

  it('requires labels of everybody but the cluster itself, Drawbridge and who is listed', () => {
    const [policy] = guardObjects({ ownNamespace: 'gate', requireLabels: { except: ['shop', 'kube-system'] } })
    const { validations } = policy!['spec'] as { readonly validations: readonly { expression: string }[] }
    assert.equal(
      validations[1]?.expression,
      "request.operation != 'CREATE' || " +
        "object.metadata.name in ['default', 'gate', 'kube-node-lease', 'kube-public', 'kube-system', 'shop'] || " +
        "['drawbridge.dev/enforce'].exists(label, variables.is[label] != '(not set)') || variables.mayWeaken",
    )
  })

  for (const name of ["a' || true || 'b", 'UPPER', '', '-a', 'a'.repeat(64)]) {
    it(`refuses to exempt ${JSON.stringify(name.slice(0, 20))} from requireLabels: it is no name`, () => {
      assert.throws(
        () => guardObjects({ ownNamespace: 'drawbridge', requireLabels: { except: [name] } }),
        /is not the name of a namespace$/,
      )
    })
  }

  describe('by the text of its expressions', () => {
    const allows = guardModel({ podSecurityLabels: true })
    const rights: Readonly<Record<User, (profile: string) => boolean>> = {
      'guard-manager': () => false,
      'guard-baseline': (profile) => profile === 'baseline',
      'guard-weakener': () => true,
      'guard-admin': () => true,
    }
    for (const [old, next, needed] of UPDATES)
      it(`${show(old)} to ${show(next)} needs ${needed}`, () => {
        const allowed = USERS.filter((user) =>
          allows({ before: labelsOf(old), after: labelsOf(next), mayWeaken: rights[user] }),
        )
        assert.deepEqual(allowed, ALLOWED[needed])
      })
    for (const [labels, needed] of CREATIONS)
      it(`creating ${show(labels)} needs ${needed}`, () => {
        const allowed = USERS.filter((user) =>
          allows({ before: undefined, after: labelsOf(labels), mayWeaken: rights[user] }),
        )
        assert.deepEqual(allowed, ALLOWED[needed])
      })
  })
})
