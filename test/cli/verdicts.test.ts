import assert from 'node:assert/strict'
import type { CliActions } from '../../src/cli/program.ts'
import type { ImageVerdict } from '../../src/verdicts/types.ts'
import { run } from './fakes.ts'
import type { Ran } from './fakes.ts'

const HOUR = 3_600_000
const NOON = Date.UTC(2026, 10, 22, 12)

const DENYING: ImageVerdict = {
  name: 'sha256-3dc045bd0000000000000000000000000000000000000000000000000000000a',
  digests: ['sha256:3dc045bd0000000000000000000000000000000000000000000000000000000a'],
  references: ['registry.example/shop/web:1.4.2'],
  contributions: {
    'drop|falco|shop/Deployment/web': {
      class: 'drop',
      detector: 'falco',
      owner: 'shop/Deployment/web',
      weight: 100,
      first: NOON - 24 * HOUR,
      last: NOON - 24 * HOUR,
    },
  },
  evidence: [
    {
      key: 'k1',
      detector: 'falco',
      rule: 'Terminal shell in container',
      priority: 'Notice',
      class: 'shell',
      weight: 0,
      time: NOON - HOUR,
    },
    {
      key: 'k2',
      detector: 'falco',
      rule: 'Drop and execute new binary in container',
      priority: 'Critical',
      class: 'drop',
      weight: 100,
      time: NOON - 24 * HOUR,
      namespace: 'shop',
      pod: 'web-x2x8q',
      container: 'web',
      target: '/tmp/\u001b[2Jsleep',
    },
  ],
  phase: 'denying',
  phaseSince: NOON - 24 * HOUR,
  reason: 'deny-threshold: score 100.0 reached 100 (drop)',
  expiresAt: NOON + 29 * 24 * HOUR,
}
const RELEASED: ImageVerdict = {
  ...DENYING,
  name: 'ref-0011223344',
  digests: [],
  references: ['registry.example/shop/other:2'],
  phase: 'released',
  phaseSince: NOON - 60_000,
  reason: 'released: by jane as fixed: rebuilt',
  release: { by: 'jane', reason: 'rebuilt', at: NOON - 60_000, as: 'fixed' },
}

/** Runs `verdicts ...` on these verdicts; the calls that change something are noted. */
async function verdicts(
  argv: readonly string[],
  known: readonly ImageVerdict[] = [DENYING, RELEASED],
): Promise<Ran & { readonly notes: readonly unknown[] }> {
  const notes: unknown[] = []
  const openVerdicts: CliActions['openVerdicts'] = ({ data, kubeconfig }) => {
    notes.push({ data, kubeconfig })
    return Promise.resolve({
      list: () => Promise.resolve(known),
      get: (name) => Promise.resolve(known.find((verdict) => verdict.name === name)),
      release(name, decision) {
        notes.push({ name, ...decision })
        const verdict = known.find((one) => one.name === name)
        return Promise.resolve(verdict && { ...verdict, release: { ...decision, at: NOON } })
      },
      confirm(name, decision) {
        notes.push({ confirm: name, ...decision })
        const verdict = known.find((one) => one.name === name)
        return Promise.resolve(verdict && { ...verdict, confirm: { ...decision, at: NOON } })
      },
      close() {
        notes.push('closed')
        return Promise.resolve()
      },
    })
  }
  return { ...(await run(['verdicts', ...argv], { actions: { openVerdicts }, now: NOON })), notes }
}

const failing = (): Promise<never> => Promise.reject(new Error('the API server\nis gone'))

describe('drawbridge verdicts', () => {
  it('list: one a line, the score of now', async () => {
    const { code, out, err } = await verdicts(['list'])
    assert.deepEqual([code, err], [0, ''])
    assert.equal(
      out,
      `NAME                      PHASE     SCORE  IMAGE                            SINCE  REASON
sha256-3dc045bd00000000…  denying   50     registry.example/shop/web:1.4.2  24h    deny-threshold: score 100.0 reached 100 (drop)
ref-0011223344            released  0      registry.example/shop/other:2    60s    released: by jane as fixed: rebuilt
`,
    )
  })

  it('list: says when there is none', async () =>
    assert.equal((await verdicts(['list'], [])).out, 'No verdicts: no image has been flagged.\n'))

  it('list -o json: the verdicts themselves', async () =>
    assert.deepEqual(JSON.parse((await verdicts(['list', '-o', 'json'])).out), { items: [DENYING, RELEASED] }))

  it('show: facts, then the evidence, newest first, with no way to move the cursor', async () => {
    const { code, out } = await verdicts(['show', DENYING.name])
    assert.equal(code, 0)
    assert.equal(
      out,
      `Name:       ${DENYING.name}
Phase:      denying since 2026-11-21T12:00:00Z
Reason:     deny-threshold: score 100.0 reached 100 (drop)
Score now:  50.0
Expires:    2026-12-21T12:00:00Z
Image:      registry.example/shop/web:1.4.2
Digest:     ${DENYING.digests[0]}

TIME                  SENSOR  RULE                                      CLASS  WEIGHT  WHERE               TARGET
2026-11-22T11:00:00Z  falco   Terminal shell in container               shell  0
2026-11-21T12:00:00Z  falco   Drop and execute new binary in container  drop   100     shop/web-x2x8q/web  /tmp/?[2Jsleep
`,
    )
  })

  it('show: who released it, and why', async () =>
    assert.match(
      (await verdicts(['show', 'ref-0011223344'])).out,
      /^Released: +2026-11-22T11:59:00Z by jane as fixed: rebuilt$/m,
    ))

  it('show -o json: the verdict itself', async () =>
    assert.deepEqual(JSON.parse((await verdicts(['show', 'ref-0011223344', '-o', 'json'])).out), RELEASED))

  it('takes the beginning of a name, as the list shortens it', async () => {
    for (const beginning of ['sha256-3dc045bd', 'sha256-3dc045bd00000000…'])
      assert.match((await verdicts(['show', beginning])).out, new RegExp(`^Name: +${DENYING.name}$`, 'm'))
  })

  for (const [name, message] of [
    ['sha256-9', 'drawbridge: no verdict sha256-9; "drawbridge verdicts list" shows them\n'],
    ['sha256-', 'drawbridge: sha256- is too short for the beginning of a name; give 8 characters or more\n'],
    ['\u001b[2J', 'drawbridge: no verdict ?[2J; "drawbridge verdicts list" shows them\n'],
  ] as const) {
    it(`ends with 1 for ${JSON.stringify(name)}, which is none or too short`, async () => {
      for (const argv of [
        ['show', name],
        ['release', name, '--reason', 'x'],
      ]) {
        const { code, out, err } = await verdicts(argv)
        assert.deepEqual([code, out, err], [1, '', message])
      }
    })
  }

  it('says which server was asked for a verdict that it does not have', async () => {
    const openVerdicts: CliActions['openVerdicts'] = () =>
      Promise.resolve({
        asked: 'the server of data; for a cluster: --kubeconfig FILE',
        list: () => Promise.resolve([]),
        get: () => Promise.resolve(undefined),
        release: () => Promise.reject(new Error('reached')),
        confirm: () => Promise.reject(new Error('reached')),
        close: () => Promise.resolve(),
      })
    for (const argv of [['show'], ['release', '--reason', 'x'], ['confirm', '--reason', 'x']]) {
      const { code, err } = await run(['verdicts', ...argv, 'sha256-99999999'], { actions: { openVerdicts } })
      assert.equal(code, 1)
      assert.equal(
        err,
        'drawbridge: no verdict sha256-99999999 (asked the server of data; for a cluster: --kubeconfig FILE); "drawbridge verdicts list" shows them\n',
      )
    }
  })

  it('ends with 1 for a beginning of two', async () => {
    const { code, err } = await verdicts(['show', 'sha256-3dc'], [DENYING, { ...DENYING, name: 'sha256-3dcf' }])
    assert.deepEqual([code, err], [1, 'drawbridge: sha256-3dc is the beginning of 2 verdicts; give more of the name\n'])
  })

  it('release: by the person at the keyboard, with a reason', async () => {
    const { code, out, notes } = await verdicts(['release', 'sha256-3dc0', '--reason', 'rebuilt', '--data', 'd'])
    assert.deepEqual(
      [code, out],
      [
        0,
        `released ${DENYING.name} (registry.example/shop/web:1.4.2); it returns only on evidence later than 2026-11-22T12:00:00Z\n`,
      ],
    )
    assert.deepEqual(notes, [
      { data: 'd', kubeconfig: undefined },
      { name: DENYING.name, by: 'jane', reason: 'rebuilt', as: 'fixed' },
      'closed',
    ])
  })

  it('release --as false-positive', async () => {
    const { notes } = await verdicts([
      'release',
      DENYING.name,
      '--reason',
      'x',
      '--as',
      'false-positive',
      '--kubeconfig',
      'k',
    ])
    assert.deepEqual(notes.slice(0, 2), [
      { data: 'data', kubeconfig: 'k' },
      { name: DENYING.name, by: 'jane', reason: 'x', as: 'false-positive' },
    ])
  })

  it('does not release twice: who decided first, and why, would be lost', async () => {
    const { code, err, notes } = await verdicts(['release', 'ref-0011223344', '--reason', 'me too'])
    assert.equal(code, 1)
    assert.match(err, /^drawbridge: ref-\S+ is released already: 2026-11-22T11:59:00Z by jane as fixed: rebuilt\n$/)
    assert.equal(notes.length, 2)
  })

  it('confirm: by the person at the keyboard, with a reason, and says until when', async () => {
    const { code, out, notes } = await verdicts(['confirm', 'sha256-3dc0', '--reason', 'it mines', '--data', 'd'])
    assert.deepEqual(
      [code, out],
      [
        0,
        `confirmed ${DENYING.name} (registry.example/shop/web:1.4.2); it is denied everywhere until 2026-12-22T12:00:00Z\n`,
      ],
    )
    assert.deepEqual(notes, [
      { data: 'd', kubeconfig: undefined },
      { confirm: DENYING.name, by: 'jane', reason: 'it mines' },
      'closed',
    ])
    const short = await verdicts(['confirm', DENYING.name, '--reason', 'x', '--until', '2026-11-30'])
    assert.match(short.out, /everywhere until 2026-11-30T00:00:00Z\n$/)
  })

  it('does not confirm twice, but again after a release or the end of the first', async () => {
    const confirm = { by: 'ann', reason: 'seen', at: NOON - HOUR }
    const of = (verdict: Partial<ImageVerdict>): Promise<Ran> =>
      verdicts(['confirm', DENYING.name, '--reason', 'me too'], [{ ...DENYING, confirm, ...verdict }])
    const { code, err } = await of({})
    assert.equal(code, 1)
    assert.match(err, /^drawbridge: sha256-\S+ is confirmed already: 2026-11-22T11:00:00Z by ann: seen\n$/)
    assert.equal((await of({ confirm: { ...confirm, until: NOON - 1 } })).code, 0)
    assert.equal((await of({ release: { by: 'jane', reason: 'x', at: NOON - 60_000, as: 'fixed' } })).code, 0)
    assert.equal((await verdicts(['confirm', 'ref-9999999999', '--reason', 'x'])).code, 1)
    assert.equal((await verdicts(['confirm', DENYING.name])).code, 2)
  })

  it('closes the connection when a command fails', async () => {
    const notes: string[] = []
    const { code, err } = await run(['verdicts', 'list'], {
      actions: {
        openVerdicts: () =>
          Promise.resolve({
            list: failing,
            get: failing,
            release: failing,
            confirm: failing,
            close() {
              notes.push('closed')
              return Promise.resolve()
            },
          }),
      },
    })
    assert.deepEqual([code, err, notes], [1, 'drawbridge: the API server\ndrawbridge: is gone\n', ['closed']])
  })
})
