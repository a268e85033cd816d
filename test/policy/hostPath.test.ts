import assert from 'node:assert/strict'
import { isInside } from '../../src/policy/hostPath.ts'

describe('host paths', () => {
  for (const [path, inside] of [
    ['/data', true],
    ['/data/x/./y//z', true],
    ['/database', false],
    ['/data/../etc', false],
    // Windows takes a backslash for a separator.
    ['/data/..\\Windows\\System32', false],
    ['data', false],
    ['/data\0/x', false],
  ] as const) {
    it(`${JSON.stringify(path)} is ${inside ? '' : 'not '}inside /data`, () =>
      assert.equal(isInside(path, '/data'), inside))
  }
})
