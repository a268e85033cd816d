import assert from 'node:assert/strict'
import * as fc from 'fast-check'

import { planFolder } from '../../src/seccomp/plan.ts'
import type { Digests, FolderState, Plan } from '../../src/seccomp/plan.ts'

const digests = (object: Readonly<Record<string, string>>): Digests => new Map(Object.entries(object))
const plan = (
  wanted: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>>,
  owned: Readonly<Record<string, string>>,
): object => {
  const made = planFolder(digests(wanted), { files: digests(files), owned: digests(owned) })
  return { ...made, owned: Object.fromEntries(made.owned) }
}
const nothing = { write: [], remove: [], foreign: [] }

/** The folder after the plan was carried out. */
const after = (wanted: Digests, { files }: FolderState, { write, remove, owned }: Plan): FolderState => {
  const next = new Map(files)
  for (const name of write) next.set(name, wanted.get(name)!)
  for (const name of remove) next.delete(name)
  return { files: next, owned }
}

describe('the plan for a folder of profiles', () => {
  for (const [what, made, expected] of [
    ['writes what is missing', plan({ a: '1' }, {}, {}), { ...nothing, write: ['a'], owned: { a: '1' } }],
    ['replaces its own', plan({ a: '2' }, { a: '1' }, { a: '1' }), { ...nothing, write: ['a'], owned: { a: '2' } }],
    ['repairs its own', plan({ a: '1' }, { a: 'x' }, { a: '1' }), { ...nothing, write: ['a'], owned: { a: '1' } }],
    ['keeps what is right', plan({ a: '1' }, { a: '1' }, { a: '1' }), { ...nothing, owned: { a: '1' } }],
    ['never touches another file', plan({ a: '1' }, { a: 'x' }, {}), { ...nothing, foreign: ['a'], owned: {} }],
    ['takes an equal file of others', plan({ a: '1' }, { a: '1' }, {}), { ...nothing, owned: {} }],
    ['removes its own', plan({}, { a: '1' }, { a: '1' }), { ...nothing, remove: ['a'], owned: {} }],
    ['leaves what somebody changed', plan({}, { a: 'x' }, { a: '1' }), { ...nothing, owned: {} }],
    ['leaves what it does not know', plan({}, { b: '1' }, {}), { ...nothing, owned: {} }],
  ] as const)
    it(what, () => assert.deepEqual(made, expected))

  const few = fc
    .dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2', ''))
    .map((object) => new Map(Object.entries(object)))
  const wantedProfiles = few.map((map) => new Map([...map].filter(([, digest]) => digest !== '')))

  it('is at rest after one step, whatever was there, and never changes a file of others', () => {
    fc.assert(
      fc.property(wantedProfiles, few, few, (wanted, files, owned) => {
        const state = { files, owned }
        const made = planFolder(wanted, state)
        const next = after(wanted, state, made)
        const again = planFolder(wanted, next)
        assert.deepEqual([again.write, again.remove], [[], []])
        assert.deepEqual(again.foreign, made.foreign)
        for (const [name, digest] of files) if (!owned.has(name)) assert.equal(next.files.get(name), digest)
      }),
    )
  })

  it('reaches the same end when it is stopped after any number of steps', () => {
    fc.assert(
      fc.property(wantedProfiles, few, few, fc.nat(8), (wanted, files, owned, steps) => {
        const state = { files, owned }
        const made = planFolder(wanted, state)
        // The record is written first, with what was in it before.
        const record = new Map([...owned, ...made.owned])
        const write = made.write.slice(0, steps)
        const remove = made.remove.slice(0, Math.max(0, steps - made.write.length))
        const stopped = after(wanted, state, { ...made, write, remove, owned: record })
        const resumed = after(wanted, stopped, planFolder(wanted, stopped))
        assert.deepEqual(resumed.files, after(wanted, state, made).files)
      }),
    )
  })
})
