import assert from 'node:assert/strict'
import { createLogLevel } from '../src/logLevel.ts'

describe('createLogLevel', () => {
  const create = () => {
    const applied: string[] = []
    const changes: (readonly [string, number | undefined])[] = []
    const control = createLogLevel({
      configured: 'warn',
      apply: (level) => Promise.resolve(void applied.push(level)),
      onChanged: (level, until) => changes.push([level, until]),
      clock: () => 1000,
    })
    return { applied, changes, control }
  }

  it('changes for good, or until a time', async () => {
    const { applied, changes, control } = create()
    assert.deepEqual(control.get(), { level: 'warn', configured: 'warn' })
    assert.deepEqual(await control.set({ level: 'debug' }), { level: 'debug', configured: 'warn' })
    assert.deepEqual(await control.set({ level: 'info', for: '10m' }), {
      level: 'info',
      configured: 'warn',
      until: '1970-01-01T00:10:01.000Z',
    })
    assert.deepEqual(applied, ['debug', 'info'])
    assert.deepEqual(changes, [
      ['debug', undefined],
      ['info', 601_000],
    ])
    control.stop()
  })

  it('goes back to the configured level, unless somebody changed it again', async () => {
    const { applied, control } = create()
    await control.set({ level: 'debug', for: '5ms' })
    await control.set({ level: 'info', for: '1ms' })
    while (applied.length < 3) await new Promise((resolve) => setTimeout(resolve, 1))
    assert.deepEqual(applied, ['debug', 'info', 'warn'])
    assert.deepEqual(control.get(), { level: 'warn', configured: 'warn' })
  })

  for (const [wanted, message] of [
    [{ level: 'loud' }, 'level must be one of debug, info, warn, error'],
    [{ level: 'debug', for: '8d' }, 'for: wanted at least 1ms and at most 7d'],
    [{ level: 'debug', for: 5 }, 'for: Invalid input: expected string, received number'],
    [{ level: 'debug', until: 'x' }, 'Unrecognized key: "until"'],
    ['debug', 'Invalid input: expected object, received string'],
  ] as const) {
    it(`refuses ${JSON.stringify(wanted)}`, async () => {
      const { applied, control } = create()
      await assert.rejects(control.set(wanted), { name: 'InvalidError', message })
      assert.deepEqual(applied, [])
    })
  }
})
