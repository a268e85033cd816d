/** Rows of the ledger's file: a text and its checksum. */
import { hash } from 'node:crypto'
import type { RuntimeAlert } from '../alerts/types.ts'
import { readVerdict } from '../verdicts/serialize.ts'
import type { ImageVerdict } from '../verdicts/types.ts'

type ReadRow =
  | { readonly verdict: ImageVerdict; readonly problem?: undefined }
  | { readonly verdict?: undefined; readonly problem: string }

/** SQLite does not notice flipped bits inside a text; the checksum does. */
export function readRow(name: unknown, row: Readonly<Record<string, unknown>>): ReadRow {
  const { value, sum } = row
  if (typeof value !== 'string' || sumOf(value) !== sum) return { problem: 'its checksum is wrong' }
  const result = readVerdict(tryParse(value))
  if (result.verdict !== undefined && result.verdict.name !== name)
    return { problem: 'it is stored under another name' }
  return result
}

/** A parked alert; undefined: damaged. Written by this program and guarded by a checksum, so its shape is known. */
export function readAlert(value: unknown, sum: unknown): RuntimeAlert | undefined {
  if (typeof value !== 'string' || sumOf(value) !== sum) return undefined
  return tryParse(value) as RuntimeAlert | undefined
}

/** The checksum of a row's text. */
export function sumOf(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 32)
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
