import assert from 'node:assert/strict'
import { newVerdictObject, readVerdictObject, toStatus } from '../../../src/adapters/kubernetes/verdictObject.ts'
import { verdict } from '../../correlator/support.ts'

describe('adapters/kubernetes/verdictObject', () => {
  it('reads back what it wrote: digests of every algorithm, and which names came with alerts', () => {
    const digests = [`sha256:${'1'.repeat(64)}`, `sha384:${'2'.repeat(96)}`, `sha512:${'3'.repeat(128)}`]
    for (const changes of [{}, { digests, alerted: { digests: 2, references: 1 } }]) {
      const written = verdict(changes)
      const stored: unknown = JSON.parse(
        JSON.stringify({ ...newVerdictObject(written.name), status: toStatus(written) }),
      )
      assert.deepEqual(readVerdictObject(stored), { kind: 'verdict', verdict: written })
    }
  })
})
