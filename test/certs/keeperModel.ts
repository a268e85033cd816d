/** Replicas, a Secret, webhook configurations and API servers without a network: certificates are numbers, time is a number, and any call may crash. */
import { createKeeper } from '../../certs/keeper.ts'
import type { CertificateStatus, Keeper, StoredBundles, StoredCertificates } from '../../certs/keeper.ts'
import type { Held, Material } from '../../certs/generation.ts'
import type { Shared } from '../../certs/rotation.ts'

export const LEAF_LIFETIME = 900
export const AUTHORITY_LIFETIME = 9000
export const PROPAGATION = 60
export const KEEP_PREVIOUS = 600
const BUNDLE_WRITE_INTERVAL = 5
/** What wall clocks are ahead of real time at the start. */
export const OFFSET = 1_000_000

/** A replica was killed in the middle of a call. */
class Crash extends Error {}

export interface Replica {
  keeper: Keeper
  /** Undefined: it does not run. */
  serving: Held | undefined
  /** Calls of the outside until it is killed. */
  callsLeft: number
  /** It serves, and looks at nothing before this time: its node is busy, or the API server does not answer it. */
  pausedUntil: number
}

export interface World {
  /** Real time; nobody sees it but the monotonic clocks. */
  time: number
  /** What wall clocks are ahead of it. */
  offset: number
  secret: { version: number; content: Shared<Material> | { readonly damage: string } } | undefined
  /** What each webhook trusts, since when, newest last. API servers know any version that is not older than PROPAGATION. */
  readonly bundles: { readonly since: number; readonly trusted: readonly string[] }[]
  readonly replicas: Replica[]
  readonly steps: string[]
  readonly bundleWrites: number[]
  /** Certificates made so far. */
  serial: number
}

interface Fields {
  readonly id: string
  readonly from: number
  readonly to: number
  readonly by?: string
}

const text = (fields: Fields): string => JSON.stringify(fields)
const fieldsOf = (certificate: string): Fields => JSON.parse(certificate) as Fields

export function describeFake(material: Material): Held {
  const [authority, leaf] = [fieldsOf(material.authority.certificate), fieldsOf(material.leaf.certificate)]
  return {
    material,
    authority: material.authority.certificate,
    authorityValidity: authority,
    authorityDamage: material.authority.key === authority.id ? undefined : 'has the key of another certificate',
    leaf: material.leaf.certificate,
    leafValidity: leaf,
    leafDamage: leaf.by === authority.id ? undefined : 'it is not signed by its authority',
  }
}

/** A world with so many replicas, none of which runs yet. */
export function createWorld(count: number): World {
  const world: World = {
    time: 0,
    offset: OFFSET,
    secret: undefined,
    bundles: [{ since: 0, trusted: [] }],
    replicas: [],
    steps: [],
    bundleWrites: [],
    serial: 0,
  }
  for (let index = 0; index < count; index += 1) world.replicas.push(createReplica(world))
  return world
}

function createReplica(world: World): Replica {
  const replica: Replica = {
    keeper: undefined as never,
    serving: undefined,
    callsLeft: Number.POSITIVE_INFINITY,
    pausedUntil: 0,
  }
  start(world, replica)
  return replica
}

/** Starts a replica anew: what it remembered is gone. */
export function start(world: World, replica: Replica): void {
  const call = async <T>(act: () => T): Promise<T> => {
    // Others may run in between.
    await Promise.resolve()
    if (replica.callsLeft <= 0) throw new Crash('before')
    replica.callsLeft -= 1
    const result = act()
    if (replica.callsLeft <= 0) throw new Crash('after')
    return result
  }
  const now = (): number => world.time + world.offset
  replica.serving = undefined
  replica.callsLeft = Number.POSITIVE_INFINITY
  replica.keeper = createKeeper({
    readStored: () =>
      call((): StoredCertificates => {
        const version = world.secret?.version
        return {
          content: world.secret?.content,
          replace: (content) =>
            call(() => {
              if (world.secret?.version !== version) return false
              world.secret = { version: (version ?? 0) + 1 + world.time, content }
              return true
            }),
        }
      }),
    readBundles: () =>
      call((): StoredBundles => {
        const latest = world.bundles.at(-1)!
        return {
          bundles: [latest.trusted, latest.trusted],
          version: String(world.bundles.length),
          replace: (bundle) =>
            call(() => {
              if (world.bundles.at(-1) !== latest) return false
              world.bundles.push({ since: world.time, trusted: bundle })
              world.bundleWrites.push(world.time)
              return true
            }),
        }
      }),
    managesBundles: true,
    createAuthority: (at) => {
      const id = `authority ${(world.serial += 1)}`
      return Promise.resolve({ certificate: text({ id, from: at - 10, to: at + AUTHORITY_LIFETIME }), key: id })
    },
    issueLeaf: (authority, _names, at) => {
      const fields = { id: `leaf ${(world.serial += 1)}`, from: at - 10, to: at + LEAF_LIFETIME, by: authority.key }
      return Promise.resolve({ certificate: text(fields), key: 'key' })
    },
    describe: describeFake,
    names: ['drawbridge'],
    now,
    tick: () => world.time,
    propagation: PROPAGATION,
    keepPrevious: KEEP_PREVIOUS,
    bundleWriteInterval: BUNDLE_WRITE_INTERVAL,
    serve: (held) => call(() => void (replica.serving = held)),
    onStep: (step) => void world.steps.push(step.kind),
    onProblem: () => undefined,
  })
}

/** Every replica looks once, all at the same time; whoever crashes starts again at its next turn. */
export async function round(world: World): Promise<readonly (CertificateStatus | undefined)[]> {
  return Promise.all(
    world.replicas.map(async (replica) => {
      if (world.time < replica.pausedUntil) return undefined
      try {
        return await replica.keeper.round()
      } catch (error) {
        if (!(error instanceof Crash)) throw error
        start(world, replica)
        return undefined
      }
    }),
  )
}

/** Every replica whose certificate an API server might refuse now because it does not know its authority. */
export function distrusted(world: World): readonly string[] {
  const first = world.bundles.findLastIndex(({ since }) => since <= world.time - PROPAGATION)
  const known = world.bundles.slice(Math.max(first, 0))
  return world.replicas.flatMap(({ serving }) =>
    serving === undefined || known.every(({ trusted }) => trusted.includes(serving.authority))
      ? []
      : [serving.authority],
  )
}

/** Every replica that serves what is not valid now. */
export function outdated(world: World): readonly string[] {
  const now = world.time + world.offset
  return world.replicas.flatMap(({ serving }) =>
    serving !== undefined &&
    [serving.leafValidity, serving.authorityValidity].every(({ from, to }) => from <= now && now < to)
      ? []
      : [serving?.leaf ?? 'nothing'],
  )
}
