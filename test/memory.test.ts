import assert from 'node:assert/strict'
import { alertBodiesBytes, alertHeapMegabytes } from '../src/memory.ts'

describe('shares of the memory', () => {
  const MEBIBYTE = 1024 * 1024
  for (const [limit, heap, bodies] of [
    [128, 64, 32],
    [256, 64, 32],
    [512, 128, 64],
    [2048, 512, 256],
    [65_536, 4096, 256],
  ] as const) {
    it(`of ${limit} MiB: ${heap} MiB for the alert thread's heap, ${bodies} for bodies`, () => {
      assert.equal(alertHeapMegabytes(limit * MEBIBYTE), heap)
      assert.equal(alertBodiesBytes(limit * MEBIBYTE), bodies * MEBIBYTE)
    })
  }
})
