import type { ImageVerdict, VerdictStore } from '../../src/verdicts/types.ts'

/** Everything that a store holds, and what it found damaged. */
export async function loaded(
  store: Pick<VerdictStore, 'load'>,
): Promise<{ readonly verdicts: readonly ImageVerdict[]; readonly problems: readonly string[] }> {
  const verdicts: ImageVerdict[] = []
  const problems = await store.load((page) => void verdicts.push(...page))
  return { verdicts, problems }
}
