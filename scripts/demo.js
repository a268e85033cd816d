// Plays the story of the README against a running standalone server and prints what each request got.
// Every run uses an image tag of its own, so that it can be played again while the verdict of the last run still stands.
import { readFileSync } from 'node:fs'
import { request } from 'node:https'

const data = process.argv[2] ?? 'data'

function readServer() {
  try {
    return JSON.parse(readFileSync(`${data}/server.json`, 'utf8'))
  } catch {
    console.error(`demo: no server is running with the data folder ${data}; start one in another terminal: make run`)
    process.exit(2)
  }
}

const server = readServer()
const authority = readFileSync(server.ca, 'utf8')
const tag = `demo-${Date.now().toString(36)}`
const image = `registry.example/shop/web:${tag}`

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

const mutated = ({ body: { response } }) =>
  response.patch
    ? ['mutated', Buffer.from(response.patch, 'base64').toString()]
    : [response.allowed ? 'unchanged' : 'denied', response.status?.message ?? '']
const judged = ({ body: { response } }) => [
  response.allowed ? 'allowed' : 'denied',
  response.status?.message ?? (response.warnings ?? []).join('\n'),
]
const decided = ({ status, body }) => [
  `${status} ${body.decisions?.[0]?.decision ?? 'refused'}`,
  body.decisions?.[0]?.reason ?? JSON.stringify(body),
]

const STORY = [
  ['a plain pod is created', 'mutated', () => review('/mutate', 'plain-pod.json').then(mutated)],
  ['a privileged pod is created', 'denied', () => review('/validate', 'privileged-pod.json').then(judged)],
  [`a pod with ${image} is created`, 'allowed', () => review('/validate', 'flagged-image.json').then(judged)],
  ['somebody opens a terminal in it', '200 no-weight', () => alert('terminal-shell.json').then(decided)],
  ['the same image is deployed again', 'allowed', () => review('/validate', 'flagged-image.json').then(judged)],
  ['Falco: a dropped executable runs', '200 contributed', () => alert('dropped-executable.json').then(decided)],
  ['the same image is deployed again', 'denied', () => review('/validate', 'flagged-image.json').then(judged)],
]

const WIDTHS = [52, 16]
const row = (...cells) =>
  console.log(cells.map((cell, index) => (index < WIDTHS.length ? cell.padEnd(WIDTHS[index]) : cell)).join('  '))
row('WHAT HAPPENS', 'DRAWBRIDGE SAYS', 'IN ITS WORDS')
let surprises = 0
for (const [what, expected, play] of STORY) {
  const [outcome, words] = await play()
  const [first = '', ...rest] = words.split('\n')
  row(what, outcome, first)
  for (const line of rest) row('', '', line)
  if (outcome !== expected) {
    surprises++
    row('', `^ expected: ${expected}`, '')
  }
}
console.log(`\nThe verdict: drawbridge verdicts list${data === 'data' ? '' : ` --data ${data}`}`)
process.exit(surprises === 0 ? 0 : 1)
