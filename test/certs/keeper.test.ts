import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import {
  AUTHORITY_LIFETIME,
  createWorld,
  distrusted,
  KEEP_PREVIOUS,
  LEAF_LIFETIME,
  OFFSET,
  outdated,
  PROPAGATION,
  round,
  start,
} from './keeperModel.ts'
import type { World } from './keeperModel.ts'

const POLL = 5

/** Lets time pass; everybody looks every POLL. */
async function pass(world: World, duration: number, check: (world: World) => void = () => undefined): Promise<void> {
  for (const end = world.time + duration; world.time < end;) {
    await round(world)
    check(world)
    world.time += POLL
    check(world)
  }
}

const neverDistrusted = (world: World): void => assert.deepEqual(distrusted(world), [], `at ${world.time}`)

/** Long enough for whatever is under way to end, a propagation and the writes' interval included. */
const CALM = KEEP_PREVIOUS + 4 * PROPAGATION

async function begin(replicas: number): Promise<World> {
  const world = createWorld(replicas)
  await pass(world, CALM)
  assert.deepEqual([distrusted(world), outdated(world)], [[], []])
  return world
}

type Event =
  | { readonly kind: 'pass'; readonly duration: number }
  | { readonly kind: 'crash'; readonly replica: number; readonly calls: number }
  | { readonly kind: 'pause'; readonly replica: number; readonly duration: number }
  | { readonly kind: 'jump'; readonly by: number }
  | { readonly kind: 'restart'; readonly replica: number }
  | { readonly kind: 'delete' | 'damage' | 'overwrite' | 'half' }

function happen(world: World, event: Event): void {
  switch (event.kind) {
    case 'pass':
      return
    case 'pause': {
      const replica = world.replicas[event.replica % world.replicas.length]!
      // Between two pauses it has the time to do what it missed: who is away for longer than an old authority stays trusted is out of luck.
      if (world.time >= replica.pausedUntil + 2 * PROPAGATION) replica.pausedUntil = world.time + event.duration
      return
    }
    case 'jump':
      world.offset += event.by
      return
    case 'crash':
      world.replicas[event.replica % world.replicas.length]!.callsLeft = event.calls
      return
    case 'restart':
      start(world, world.replicas[event.replica % world.replicas.length]!)
      return
    case 'delete':
      world.secret = undefined
      return
    case 'damage':
      world.secret = { version: (world.secret?.version ?? 0) + 1, content: { damage: 'it has no authority.crt' } }
      return
    case 'half': {
      const content = world.secret?.content
      if (content === undefined || 'damage' in content) return
      const { current } = content
      const damaged = { ...current, authority: { ...current.authority, key: 'of another' } }
      world.secret = { version: (world.secret?.version ?? 0) + 1, content: { ...content, current: damaged } }
      return
    }
    case 'overwrite':
      world.bundles.push({ since: world.time, trusted: ['somebody else'] })
  }
}

const passing = fc.record({ kind: fc.constant('pass' as const), duration: fc.integer({ min: POLL, max: 400 }) })
const crash = fc.record({ kind: fc.constant('crash' as const), replica: fc.nat(2), calls: fc.nat(14) })
const restart = fc.record({ kind: fc.constant('restart' as const), replica: fc.nat(2) })
const pause = fc.record({
  kind: fc.constant('pause' as const),
  replica: fc.nat(2),
  duration: fc.integer({ min: POLL, max: KEEP_PREVIOUS / 3 }),
})
const jump = (min: number, max: number) =>
  fc.record({ kind: fc.constant('jump' as const), by: fc.integer({ min, max }) })

describe('the keeper of certificates', function () {
  this.timeout(60_000)

  it('makes one Secret when several start at once', async () => {
    const world = createWorld(3)
    await round(world)
    assert.equal(world.steps.join(), 'create')
    const served = new Set(world.replicas.map(({ serving }) => serving?.leaf))
    assert.equal(served.size, 1)
    neverDistrusted({ ...world, time: world.time + PROPAGATION })
  })

  it('renews leaf and authority again and again, and nobody is ever distrusted', async () => {
    const world = await begin(2)
    await pass(world, 3 * AUTHORITY_LIFETIME, (now) => {
      neverDistrusted(now)
      assert.deepEqual(outdated(now), [])
    })
    const count = (kind: string): number => world.steps.filter((step) => step === kind).length
    assert.ok(count('promote') >= 3 && count('promote') === count('stage'), world.steps.join())
    assert.ok(count('renew') > 30)
    assert.equal(count('retire'), count('promote'))
    assert.equal(world.bundles.at(-1)!.trusted.length, 1)
  })

  it('serves nothing of a new authority before it was published for as long as it takes', async () => {
    const world = await begin(2)
    world.offset += AUTHORITY_LIFETIME * 0.7
    const before = world.replicas[0]!.serving?.authority
    await round(world)
    const staged = world.time
    assert.equal(world.bundles.at(-1)!.trusted.length, 2)
    while (world.replicas[0]!.serving?.authority === before) {
      world.time += POLL
      await round(world)
    }
    assert.ok(world.time - staged >= PROPAGATION && world.time - staged <= PROPAGATION + 2 * POLL)
  })

  it('waits anew when the bundle is overwritten during the wait', async () => {
    const world = await begin(2)
    world.offset += AUTHORITY_LIFETIME * 0.7
    await pass(world, PROPAGATION - 2 * POLL)
    happen(world, { kind: 'overwrite' })
    const before = world.replicas[0]!.serving?.authority
    await pass(world, PROPAGATION - 2 * POLL)
    assert.equal(world.replicas[0]!.serving?.authority, before)
    await pass(world, 4 * POLL)
    assert.notEqual(world.replicas[0]!.serving?.authority, before)
  })

  it('puts an overwritten bundle back, and writes no more often than it may', async () => {
    const world = await begin(1)
    world.bundleWrites.length = 0
    for (let second = 0; second < 30; second += 1) {
      happen(world, { kind: 'overwrite' })
      await round(world)
      world.time += 1
    }
    assert.deepEqual(
      world.bundleWrites.map((at) => at - world.bundleWrites[0]!),
      [0, 5, 10, 15, 20, 25],
    )
  })

  it('heals when the cluster slept until everything had expired', async () => {
    for (const slept of [LEAF_LIFETIME + 1, AUTHORITY_LIFETIME + 1, 100 * AUTHORITY_LIFETIME]) {
      const world = await begin(2)
      for (const replica of world.replicas) start(world, replica)
      world.offset += slept
      await round(world)
      await pass(world, PROPAGATION + POLL)
      assert.deepEqual([distrusted(world), outdated(world)], [[], []])
    }
  })

  it('restores a Secret that is deleted or damaged from what it remembers', async () => {
    for (const kind of ['delete', 'damage', 'half'] as const) {
      const world = await begin(2)
      const before = world.replicas.map(({ serving }) => serving?.authority)
      world.steps.length = 0
      happen(world, { kind })
      await pass(world, CALM, neverDistrusted)
      assert.equal(world.steps[0], kind === 'half' ? 'replace' : 'restore')
      if (kind !== 'half')
        assert.deepEqual(
          world.replicas.map(({ serving }) => serving?.authority),
          before,
        )
    }
  })

  it('never serves what a client may not trust, whoever crashes whenever, and whatever the clocks do short of an expiry', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        // A jump makes things due; the next one comes when what was due is done. No clock is more than this ahead in one step.
        fc.array(fc.oneof(passing, crash, restart, pause, jump(0, LEAF_LIFETIME / 4)), { maxLength: 25 }),
        fc.boolean(),
        async (replicas, events, isNearRotation) => {
          const world = await begin(replicas)
          // Near the time at which the authority is due, so that a rotation is under way when things happen.
          const goal = isNearRotation ? AUTHORITY_LIFETIME * 0.6 : 0
          while (world.offset - OFFSET + world.time < goal) {
            world.offset += LEAF_LIFETIME / 4
            await round(world)
            world.time += POLL
          }
          for (const event of events) {
            happen(world, event)
            await pass(world, event.kind === 'pass' ? event.duration : POLL, neverDistrusted)
          }
          await pass(world, CALM, neverDistrusted)
          assert.deepEqual(outdated(world), [])
        },
      ),
      { numRuns: 40 },
    ))

  it('ends well from anything', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.array(
          fc.oneof(
            passing,
            crash,
            restart,
            pause,
            jump(-20 * AUTHORITY_LIFETIME, 20 * AUTHORITY_LIFETIME),
            fc.record({
              kind: fc.constantFrom('delete' as const, 'damage' as const, 'overwrite' as const, 'half' as const),
            }),
          ),
          { maxLength: 25 },
        ),
        async (replicas, events) => {
          const world = createWorld(replicas)
          for (const event of events) {
            happen(world, event)
            await pass(world, event.kind === 'pass' ? event.duration : POLL)
          }
          await pass(world, CALM)
          assert.deepEqual([distrusted(world), outdated(world)], [[], []])
        },
      ),
      { numRuns: 40 },
    ))
})
