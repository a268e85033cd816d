/** Bar charts as SVG, drawn from figures; no library: a chart is a list of rectangles and texts. */

/** One bar. */
export interface Bar {
  readonly label: string
  readonly value: number
  /** Drawn in the colour of what this is about; the others are there to compare with. */
  readonly own?: boolean
}

export interface Chart {
  readonly title: string
  readonly unit: string
  readonly bars: readonly Bar[]
  /** A line across all bars, for example a goal. */
  readonly line?: { readonly value: number; readonly label: string } | undefined
}

const WIDTH = 720
const LABELS = 250
/** Wider than a character of the text is on average, in any usual font. */
const CHARACTER = 7
const RIGHT = 90
const BAR = 22
const STEP = 32
const TOP = 56

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const text = (x: number, y: number, content: string, rest = ''): string =>
  `  <text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${rest}>${escape(content)}</text>`

/** The whole file. The same input gives the same text. Bars begin at 0: a cut axis would show differences that are none. */
export function barChart({ title, unit, bars, line }: Chart): string {
  const labels = Math.max(LABELS, ...bars.map(({ label }) => 16 + CHARACTER * label.length))
  const wide = WIDTH - labels - RIGHT
  const largest = Math.max(line?.value ?? 0, ...bars.map(({ value }) => value))
  const at = (value: number): number => labels + (wide * value) / largest
  const bottom = TOP + STEP * bars.length
  const height = bottom + (line === undefined ? 12 : 30)
  const rows = bars.flatMap(({ label, value, own }, index) => {
    const y = TOP + STEP * index
    return [
      text(labels - 10, y + 16, label, ' text-anchor="end"'),
      `  <rect x="${labels}" y="${y}" width="${(at(value) - labels).toFixed(1)}" height="${BAR}" fill="${own ? '#1f6feb' : '#9aa4af'}"/>`,
      text(at(value) + 6, y + 16, `${value.toFixed(2)} ${unit}`.trim()),
    ]
  })
  const goal =
    line === undefined
      ? []
      : [
          `  <line x1="${at(line.value).toFixed(1)}" y1="${TOP - 8}" x2="${at(line.value).toFixed(1)}" y2="${bottom}" stroke="#cf222e" stroke-dasharray="4 3"/>`,
          text(at(line.value), bottom + 18, line.label, ' text-anchor="middle" fill="#cf222e"'),
        ]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13" role="img">`,
    `  <title>${escape(title)}</title>`,
    `  <rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(16, 28, title, ' font-size="15" font-weight="bold"'),
    ...rows,
    ...goal,
    '</svg>',
    '',
  ].join('\n')
}
