// Deletes compiled output, so that a deleted test cannot keep running from dist/.
import { rmSync } from 'node:fs'

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true })
