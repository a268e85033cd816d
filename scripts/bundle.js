// Bundles the server with esbuild: importing @kubernetes/client-node unbundled costs about 0.9 s and 80 MiB.
// Code splitting keeps the Kubernetes client out of a standalone start: it is loaded only when it is used.
// Beside it lies sbom.cdx.json: what is in it. `--node VERSION` adds the Node that will run it, where that is known (Dockerfile).
import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { writeSbom } from './sbom.js'

const { node } = parseArgs({ options: { node: { type: 'string' } } }).values

// Chunks are named by their content: without this those of earlier builds would be shipped too.
rmSync('dist/bundle', { recursive: true, force: true })

/**
 * Tables that come with express and that no request needs; with them each of the two threads takes 3 MiB more. Bodies are read as bytes (`express.raw`), so
 * no character set is decoded, and every answer says its type in full.
 */
const withoutTables = {
  name: 'without-tables',
  setup({ onLoad }) {
    onLoad({ filter: /node_modules\/iconv-lite\/lib\/index\.js$/ }, () => ({
      contents: 'exports.encodingExists = () => false',
    }))
    onLoad({ filter: /node_modules\/mime-db\/db\.json$/ }, () => ({ contents: '{}', loader: 'json' }))
  },
}

const { metafile } = await build({
  plugins: [withoutTables],
  metafile: true,
  entryPoints: { drawbridge: 'src/main.ts', alertThread: 'src/alertThread.ts' },
  outdir: 'dist/bundle',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node22.19',
  sourcemap: 'linked',
  // Source text is kept in memory, in each thread: 8 MiB less. Names stay, so that a stack says where it was.
  minifyWhitespace: true,
  minifySyntax: true,
  logLevel: 'warning',
  // Packages written as CommonJS call require() for Node's own modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
})

writeSbom('dist/bundle/sbom.cdx.json', metafile, node)
