/** Bodies of the requests that are answered before express: JSON of an announced length, read as it comes. */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** As the API server and Falco write it, and as Falcosidekick does. */
const TYPES: ReadonlySet<string | undefined> = new Set(['application/json', 'application/json; charset=utf-8'])

/** How long the body of a usual request is: JSON, not packed, announced and not too long. Undefined: it is not usual. */
export function announcedJson({ headers }: IncomingMessage, limit: number): number | undefined {
  if (!TYPES.has(headers['content-type']) || headers['content-encoding'] !== undefined) return undefined
  // Node's parser has refused what is no number, and a length beside chunks.
  const announced = headers['content-length']
  const length = announced === undefined ? Number.NaN : Number(announced)
  return length <= limit ? length : undefined
}

/** Hands over the whole body, or tells that the request broke off: one of the two, once. `over`: the request is, whatever became of it. */
export function readWhole(
  request: IncomingMessage,
  response: ServerResponse,
  {
    take,
    brokenOff,
    over,
  }: {
    readonly take: (body: Buffer) => void
    readonly brokenOff: (error: Error) => void
    readonly over?: () => void
  },
): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => take(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
  response.on('close', () => {
    over?.()
    if (!request.complete) brokenOff(Object.assign(new Error('request aborted'), { status: 400 }))
  })
}
