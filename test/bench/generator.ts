/** The load generator: a process of its own, since whatever it costs would otherwise be taken from the server. It sends one prepared request, the next one as soon as the answer is there. */
import { headOf, openConnection, statusOf } from './connection.ts'
import type { Connection } from './connection.ts'
import { serversOf } from './paired.ts'
import type { Order, Slice, Target } from './paired.ts'

function requestOf({ url, body, headers }: Target): Buffer {
  return Buffer.from(`${headOf(url, Buffer.byteLength(body), headers ?? {})}${body}`)
}

/** One exchange; rejects with the answer when it is not what it should be. */
async function exchange(connection: Connection, request: Buffer, { url, status, contains }: Target): Promise<void> {
  const answer = await connection.exchange(request)
  if (statusOf(answer) !== status || !answer.includes(contains))
    throw new Error(`${url}: ${answer.toString('utf8').slice(0, 1000)}`)
}

const pools = new Map<string, { readonly request: Buffer; readonly connections: Promise<Connection>[] }>()

async function run({ target, connections, milliseconds, awake }: Order): Promise<Slice> {
  let pool = pools.get(target.name)
  if (pool === undefined) {
    pool = { request: requestOf(target), connections: [] }
    pools.set(target.name, pool)
  }
  const { request, connections: open_ } = pool
  const servers = serversOf(target)
  while (open_.length < connections) {
    const { url, ca } = servers[open_.length % servers.length]!
    open_.push(openConnection(url, { ...target, ca }))
  }
  const opened = await Promise.all(open_.slice(0, connections))
  const times: number[] = []
  const spinning = awake === true ? stayAwake() : undefined
  const started = performance.now()
  const end = started + milliseconds
  await Promise.all(
    opened.map(async (connection) => {
      for (let before = performance.now(); before < end;) {
        await exchange(connection, request, target)
        const after = performance.now()
        times.push(after - before)
        before = after
      }
    }),
  ).finally(() => spinning?.end())
  const seconds = (performance.now() - started) / 1000
  return { seconds, times }
}

/**
 * Keeps this process from sleeping until it is ended. Who waits for the next answer and falls asleep has to be woken by the server that writes it, which on a virtual machine takes that
 * server 10 to 20 us; and whether it fell asleep depends on how quick the server is. So of two servers the slower one would have to do what the other one
 * need not (measured: 93 and 71 us of CPU for a review, and 71 and 56 us without).
 */
function stayAwake(): { end(): void } {
  let isEnded = false
  const look = (): void => {
    if (!isEnded) setImmediate(look)
  }
  look()
  return { end: () => (isEnded = true) }
}

process.on('message', (order: Order) => {
  run(order).then(
    (slice) => process.send?.(slice),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
