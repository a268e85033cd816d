/** What a measurement is and gives. One file per measurement and one line in `index.ts`. */

/** One figure. Absolute figures move with the machine: only ratios of one run, and the goals beside them, say something. */
export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** What was counted and how, where the name does not say it. */
  readonly note?: string | undefined
  /** Absent: a figure beside another one. */
  readonly goal?: Goal | undefined
}

/** What a figure should be. */
export type Goal = { readonly atMost: number } | { readonly atLeast: number }

/** `scale` 1 is the full run; `make bench-smoke` asks for less. `report` prints progress for whoever waits. */
export interface Effort {
  readonly scale: number
  readonly report: (line: string) => void
}

export interface Measurement {
  readonly name: string
  readonly run: (effort: Effort) => Promise<readonly Figure[]>
}
