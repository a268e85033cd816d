/** What `drawbridge replay` prints for people. */
import type { Explanation } from '../correlator/explain.ts'
import type { ReplayReport } from '../correlator/replay.ts'
import { clean, table } from './io.ts'

/** Lines about what could not be decoded: of a file that holds no alerts at all, every line is one. `-o json` has more of them. */
const MAX_REFUSED = 20

/** The whole report; `thresholds` are those of the replay. */
export function replayText(
  report: ReplayReport,
  thresholds: { readonly warnAt: number; readonly denyAt: number },
): string {
  const { lines, decoded, refused, refusedUnlisted = 0, images, withoutImage } = report
  const rows = images.map(({ image, digest, score, phase, reason }) => [
    phase,
    String(score),
    image,
    digest ?? '',
    reason,
  ])
  const refusals = refused.length + refusedUnlisted
  return [
    images.length === 0 ? '' : `${table(['PHASE', 'SCORE', 'IMAGE', 'DIGEST', 'REASON'], rows)}\n`,
    ...images.map(({ image, explanation }) =>
      explanation === undefined ? '' : `${clean(image)}\n${explanationText(explanation, thresholds)}\n`,
    ),
    withoutImage === undefined || isEmpty(withoutImage)
      ? ''
      : `no image\n${explanationText(withoutImage, thresholds)}\n`,
    ...refused.slice(0, MAX_REFUSED).map(({ line, code }) => `line ${line}: refused: ${code}\n`),
    refusals <= MAX_REFUSED ? '' : `${refusals - MAX_REFUSED} more refused\n`,
    `${lines} ${lines === 1 ? 'line' : 'lines'}, ${decoded} decoded, ${refusals} refused; ${images.length} ${images.length === 1 ? 'image' : 'images'}\n`,
  ].join('')
}

function explanationText(
  { counted, notCounted, unlisted }: Explanation,
  thresholds: { readonly warnAt: number; readonly denyAt: number },
): string {
  const words = { warnAt: `warns at ${thresholds.warnAt}`, denyAt: `denies at ${thresholds.denyAt}` }
  const countedRows = counted.map((alert) => [
    String(alert.line),
    alert.time,
    `+${alert.added}`,
    String(alert.score),
    alert.crossed.map((name) => words[name]).join(', '),
    alert.class,
    String(alert.weight),
    alert.detector,
    alert.owner,
    alert.rule,
  ])
  const otherRows = notCounted.map((group) => [
    String(group.count),
    group.firstLine === group.lastLine ? String(group.firstLine) : `${group.firstLine}-${group.lastLine}`,
    group.decision,
    group.class,
    String(group.weight),
    group.detector,
    group.rule,
    group.reason,
  ])
  return [
    section(
      'counted',
      ['LINE', 'TIME', 'ADDED', 'SCORE', 'CROSSED', 'CLASS', 'WEIGHT', 'DETECTOR', 'OWNER', 'RULE'],
      countedRows,
    ),
    section('not counted', ['COUNT', 'LINES', 'DECISION', 'CLASS', 'WEIGHT', 'DETECTOR', 'RULE', 'REASON'], otherRows),
    unlisted === 0 ? '' : `  ${unlisted} more that are not listed\n`,
  ].join('')
}

function section(title: string, header: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? '' : `  ${title}\n${table(header, rows).replace(/^(?=.)/gm, '    ')}`
}

function isEmpty({ counted, notCounted, unlisted }: Explanation): boolean {
  return counted.length + notCounted.length + unlisted === 0
}
