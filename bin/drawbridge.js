#!/usr/bin/env node
// Starts the bundled program. Under a Node that is too old it hands over to the one that `npm install` brought (devDependency `node`),
// so that the command works on any host; without that one it says what is needed.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

// Otherwise Node opens its debugger on this signal, to every process of the machine or pod.
process.on('SIGUSR1', () => {})

const MINIMUM = [22, 19]
const bundle = fileURLToPath(new URL('../dist/bundle/drawbridge.js', import.meta.url))
const pinned = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url))
const [major, minor] = process.versions.node.split('.').map(Number)

if (!existsSync(bundle)) {
  process.stderr.write('drawbridge: not built yet; run "make build" first\n')
  process.exit(2)
}

if (major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1])) {
  await import(bundle)
} else if (existsSync(pinned)) {
  // The channel closes when this process dies in whatever way; the program then stops too, and never outlives its parent.
  const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, DRAWBRIDGE_EXIT_WITH_PARENT: '1' },
  })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
} else {
  process.stderr.write(`drawbridge: needs Node ${MINIMUM.join('.')} or newer, found ${process.versions.node}\n`)
  process.exit(2)
}
