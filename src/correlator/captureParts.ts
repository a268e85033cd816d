/** Cuts a capture into parts that can be read one after the other, so that a large file never is in memory as a whole. */

/** Some values of a capture, whole. */
export interface CapturePart {
  readonly bytes: Uint8Array
  /** Line feeds before it. */
  readonly linesBefore: number
  /** It is the whole capture. */
  readonly whole: boolean
}

/** A part is at least this long, where the capture is. */
export const PART_BYTES = 4 * 1024 * 1024

const LINE_FEED = 0x0a
const OPEN = 0x7b
const CLOSE = 0x7d

/** Bytes of the block before that are looked at with a block: a cut may lie between them. */
const EDGE_BYTES = 64

/**
 * A cut is made only where a line that ends with `}` is followed by one that begins with `{`: between the values of NDJSON or of objects one after the
 * other. JSON has no raw line feeds in strings, and between elements of an array there is a comma. One array, or one object over many lines, is one part;
 * one that is longer than `maxBytes` is the last part, and not all of it.
 */
export async function* captureParts(
  blocks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { partBytes = PART_BYTES, maxBytes = Infinity }: { readonly partBytes?: number; readonly maxBytes?: number } = {},
): AsyncGenerator<CapturePart> {
  let waiting: Uint8Array[] = []
  let size = 0
  let linesBefore = 0
  for await (const block of blocks) {
    const edge = waiting.at(-1)?.subarray(-EDGE_BYTES) ?? new Uint8Array()
    waiting.push(block)
    size += block.byteLength
    if (size < partBytes) continue
    const cut = lastCut(Buffer.concat([edge, block]))
    if (cut === -1 && size <= maxBytes) continue
    const all = Buffer.concat(waiting)
    if (cut === -1) {
      yield { bytes: all, linesBefore, whole: linesBefore === 0 }
      return
    }
    const end = size - block.byteLength - edge.byteLength + cut
    const bytes = all.subarray(0, end)
    yield { bytes, linesBefore, whole: false }
    linesBefore += countLineFeeds(bytes)
    waiting = [all.subarray(end)]
    size -= end
  }
  if (size > 0 || linesBefore === 0) yield { bytes: Buffer.concat(waiting), linesBefore, whole: linesBefore === 0 }
}

/** Index of the last `{` that begins a line after a line that ends with `}`; -1: none. */
function lastCut(bytes: Buffer): number {
  for (let from = bytes.length - 1; from > 0;) {
    const feed = bytes.lastIndexOf(LINE_FEED, from)
    if (feed <= 0) return -1
    if (bytes[feed + 1] === OPEN) {
      let before = feed - 1
      while (before > 0 && isSpace(bytes[before])) before--
      if (bytes[before] === CLOSE) return feed + 1
    }
    from = feed - 1
  }
  return -1
}

function isSpace(byte: number | undefined): boolean {
  return byte === LINE_FEED || byte === 0x0d || byte === 0x20 || byte === 0x09
}

function countLineFeeds(bytes: Uint8Array): number {
  let count = 0
  for (let at = bytes.indexOf(LINE_FEED); at !== -1; at = bytes.indexOf(LINE_FEED, at + 1)) count++
  return count
}
