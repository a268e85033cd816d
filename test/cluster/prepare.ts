/**
 * Builds whatever tests need and is not there yet, one after the other: the programs of Kubernetes, Helm, kubeconform and the image. So that tests that run
 * side by side do not build the same thing twice, and so that what is slow on a fresh machine is seen.
 */
import { chartTools } from './chartTools.ts'
import { buildImage } from '../e2e/image.ts'
import { NoClusterError, NODE_KUBERNETES, noNodeBecause, programs } from './programs.ts'

const tasks: readonly (readonly [string, () => unknown])[] = [
  ['Kubernetes', () => programs(noNodeBecause() === undefined ? NODE_KUBERNETES : [])],
  ['Helm and kubeconform', chartTools],
  ['the image', () => (noNodeBecause() === undefined ? buildImage() : undefined)],
]

for (const [name, build] of tasks) {
  const started = performance.now()
  try {
    await build()
    process.stdout.write(`${name}: there after ${((performance.now() - started) / 1000).toFixed(1)} s\n`)
  } catch (error) {
    // Whoever has no Go can run the other tests; in CI every test must run.
    if (!(error instanceof NoClusterError) || process.env['CI'] === 'true') throw error
    process.stdout.write(`${name}: ${error.message}\n`)
  }
}
