// Plays the story of the README against a running standalone server and prints what each request got.
// Every run uses an image tag of its own, so that it can be played again while the verdict of the last run still stands.
import { readFileSync } from 'node:fs'
import { request } from 'node:https'

const data = process.argv[2] ?? 'data'
const width = Math.max(Number.parseInt(process.env.COLUMNS ?? '', 10) || process.stdout.columns || 100, 80)

let server
try {
  server = JSON.parse(readFileSync(`${data}/server.json`, 'utf8'))
} catch {
  console.error(
    `demo: no server is running with the data folder ${data}; start one in another terminal (make run), or name its folder: make demo DATA=...`,
  )
  process.exit(2)
}
const authority = readFileSync(server.ca, 'utf8')
const tag = `demo-${Date.now().toString(36)}`

/** One POST; resolves to the status and the parsed body. */
function post(url, body, token) {
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) }
    const call = request(url, { method: 'POST', ca: authority, headers, timeout: 10_000 }, (response) => {
      let text = ''
      response.on('data', (chunk) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode, body: JSON.parse(text) }))
    })
    call.on('timeout', () => call.destroy(new Error('no answer within 10 s')))
    call.on('error', reject)
    call.end(body)
  })
}

const example = (file) => readFileSync(new URL(`../examples/${file}`, import.meta.url), 'utf8')
const withTag = (text) => text.replaceAll('shop/web:1.4.2', `shop/web:${tag}`).replaceAll('"1.4.2"', `"${tag}"`)
const review = (path, file) => post(server.webhook + path, withTag(example(`reviews/${file}`)))
const alert = (file) =>
  post(
    `${server.alerts}/alerts/falco`,
    withTag(example(`alerts/${file}`)).replaceAll('@TIME@', new Date().toISOString()),
    server.alertToken,
  )

/** What a request got: its outcome, a few words for the table, and the whole text of a denial. */
const mutated = ({ body: { response } }) => {
  if (!response.patch) return { outcome: response.allowed ? 'unchanged' : 'denied', words: '' }
  const [{ path, value }] = JSON.parse(Buffer.from(response.patch, 'base64').toString())
  return { outcome: 'mutated', words: `${path} = ${JSON.stringify(value)}` }
}
const judged = ({ body: { response } }) => {
  if (response.allowed) return { outcome: 'allowed', words: (response.warnings ?? []).join('; ') }
  const { message } = response.status
  const lines = message.split('\n').length - 1
  return { outcome: 'denied', words: `for ${lines} ${lines === 1 ? 'reason' : 'reasons'}, see below`, message }
}
const decided = ({ status, body }) => ({
  outcome: `${status} ${body.decisions?.[0]?.decision ?? 'refused'}`,
  words: body.decisions?.[0]?.reason ?? JSON.stringify(body),
})

/** What happens, the outcome that it must have, and how it is played. */
const STORY = [
  {
    what: 'a plain pod is created',
    expected: 'mutated',
    play: () => review('/mutate', 'plain-pod.json').then(mutated),
  },
  {
    what: 'a privileged pod is created',
    expected: 'denied',
    play: () => review('/validate', 'privileged-pod.json').then(judged),
  },
  {
    what: 'a pod with this image is created',
    expected: 'allowed',
    play: () => review('/validate', 'flagged-image.json').then(judged),
  },
  {
    what: 'Falco: a terminal shell in it',
    expected: '200 no-weight',
    play: () => alert('terminal-shell.json').then(decided),
  },
  {
    what: 'the image is deployed again',
    expected: 'allowed',
    play: () => review('/validate', 'flagged-image.json').then(judged),
  },
  {
    what: 'Falco: a dropped executable runs',
    expected: '200 contributed',
    play: () => alert('dropped-executable.json').then(decided),
  },
  {
    what: 'the image is deployed again',
    expected: 'denied',
    play: () => review('/validate', 'flagged-image.json').then(judged),
  },
]

/** Breaks a text at spaces; every line after the first is indented. */
function wrap(text, room, indent) {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last.trim() !== '' && last.length + 1 + word.length > room) lines.push(indent + word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines
}

const WIDTHS = [1, 32, 15]
const INDENT = ' '.repeat(WIDTHS.reduce((sum, one) => sum + one + 2, 0))
const row = (number, what, outcome, words) => {
  const [first, ...rest] = wrap(words, width - INDENT.length, '')
  const cells = [number, what, outcome].map((cell, index) => cell.padEnd(WIDTHS[index]))
  console.log([...cells, first].join('  ').trimEnd())
  for (const line of rest) console.log(INDENT + line)
}

try {
  await review('/validate', 'flagged-image.json')
} catch (error) {
  if (error.code !== 'ECONNREFUSED') throw error
  console.error(
    `demo: the server that wrote ${data}/server.json (process ${server.pid}) is gone; start it again: make run`,
  )
  process.exit(2)
}

console.log(`The image of this run: registry.example/shop/web:${tag}\n`)
row('', 'WHAT HAPPENS', 'ANSWER', 'WHY')
const denials = []
let surprises = 0
for (const [index, { what, expected, play }] of STORY.entries()) {
  const number = String(index + 1)
  const { outcome, words, message } = await play()
  row(number, what, outcome, words)
  if (message !== undefined) denials.push({ number, message })
  if (outcome !== expected) {
    surprises++
    row('', '', `^ expected: ${expected}`, '')
  }
}
for (const { number, message } of denials) {
  console.log(`\nWhat the person reads who did ${number}:\n`)
  for (const line of message.split('\n'))
    console.log(
      wrap(line, width - 2, '  ')
        .map((part) => `  ${part}`)
        .join('\n'),
    )
}
console.log(`\nThe verdict: bin/drawbridge.js verdicts list${data === 'data' ? '' : ` --data ${data}`}`)
process.exit(surprises === 0 ? 0 : 1)
