/** One row of a shipped table. */
export interface ShippedRule {
  /** As the sensor writes it in its alerts. */
  readonly rule: string
  /** Other names of the same rule: older versions of the sensor, ids. */
  readonly aliases?: readonly string[] | undefined
  /** A name of CLASSES in classes.ts. */
  readonly class: string
  /** Where this rule is less sure than its class; absent: the weight of the class. */
  readonly weight?: number | undefined
  /** Class where a shell's connection stays on the loopback address: a health check by `/dev/tcp` looks like the beginning of a reverse shell. */
  readonly localShellClass?: string | undefined
}

/** Rows from lines `[rule, class]` or `[rule, class, weight]`. */
export function rows(
  lines: readonly (readonly [string, string] | readonly [string, string, number])[],
): readonly ShippedRule[] {
  return lines.map(([rule, name, weight]) => ({ rule, class: name, ...(weight === undefined ? {} : { weight }) }))
}
