import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { Decoded, RuntimeAlert } from '../../../src/alerts/types.ts'

/** The alert of a finding; anything else fails the test. */
export function findingOf(decoded: Decoded): RuntimeAlert {
  return decoded.kind === 'finding' ? decoded.alert : assert.fail(JSON.stringify(decoded))
}

/** `finding: RULE`, `telemetry`, or `refused: CODE`. */
export function outcomeOf(decoded: Decoded): string {
  if (decoded.kind === 'finding') return `finding: ${decoded.alert.rule}`
  return decoded.kind === 'telemetry' ? 'telemetry' : `refused: ${decoded.code}`
}

/** Text of a file below test/fixtures/alerts. */
export function sampleText(path: string): string {
  return readFileSync(new URL(`../../../../test/fixtures/alerts/${path}`, import.meta.url), 'utf8')
}
