import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { alertBodiesBytes, alertHeapMegabytes, garbageFlag, youngGarbageFlags } from '../src/memory.ts'

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

describe('settings of V8', () => {
  const MEBIBYTE = 1024 * 1024
  for (const [limit, used, percent] of [
    [256, 16, 100],
    [512, 16, 200],
    [512, 64, 50],
    [65_536, 16, 400],
    [65_536, 64, 100],
    [65_536, 2, 400],
    [65_536, 4096, 20],
  ] as const) {
    it(`lets garbage be ${percent} % of ${used} MiB in use, in ${limit} MiB`, () => {
      assert.equal(garbageFlag(limit * MEBIBYTE, used * MEBIBYTE), `--heap-growing-percent=${percent}`)
    })
  }

  it('leaves helpers where there are more than two cores', () => {
    assert.deepEqual([youngGarbageFlags(1).length, youngGarbageFlags(2).length, youngGarbageFlags(4)], [1, 1, []])
  })

  // A running V8 says nothing of a setting that it does not know.
  it('are known to this Node', () => {
    const accepts = (flag: string): boolean =>
      spawnSync(process.execPath, [flag, '--eval', ''], { stdio: 'ignore' }).status === 0
    const flags = [garbageFlag(512 * MEBIBYTE, 16 * MEBIBYTE), ...youngGarbageFlags(2)]
    assert.deepEqual([...flags, '--no-such-setting'].map(accepts), [true, true, false])
  })
})
