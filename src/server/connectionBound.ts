/**
 * How many connections a listener holds. Nobody has to show a certificate to connect, so a stranger could hold them all and keep the API server out. Beyond
 * the bound the oldest connection of the address that has the most gives way: an API server has a few.
 */
import type { Socket } from 'node:net'

/**
 * @param limit connections at a time, of all addresses together
 * @returns takes a connection that was just accepted
 */
export function createConnectionBound(limit: number): (socket: Socket) => void {
  /** By address, the oldest first: sets keep the order of insertion. */
  const held = new Map<string, Set<Socket>>()
  let total = 0

  const forget = (address: string, socket: Socket): void => {
    const sockets = held.get(address)
    if (sockets?.delete(socket) !== true) return
    total -= 1
    if (sockets.size === 0) held.delete(address)
  }
  const makeRoom = (): void => {
    let [greediest, sockets]: [string, ReadonlySet<Socket>] = ['', new Set()]
    for (const [address, its] of held) if (its.size > sockets.size) [greediest, sockets] = [address, its]
    const [oldest] = sockets
    if (oldest === undefined) return
    // Now, and not when it has closed: many may come before that.
    forget(greediest, oldest)
    oldest.destroy()
  }

  return (socket) => {
    const address = socket.remoteAddress ?? ''
    const sockets = held.get(address) ?? new Set()
    held.set(address, sockets.add(socket))
    total += 1
    socket.once('close', () => forget(address, socket))
    if (total > limit) makeRoom()
  }
}
