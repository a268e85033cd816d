import assert from 'node:assert/strict'
import { isLocalShell } from '../../src/alerts/localShell.ts'

describe('alerts/localShell', () => {
  for (const shell of ['/bin/bash', '/usr/bin/bash', '/usr/local/bin/bash', '/bin/sh', '/usr/bin/ksh93'])
    it(`knows ${shell}`, () => assert.equal(isLocalShell(shell, '127.0.0.1'), true))
  for (const path of [
    undefined,
    '',
    'bash',
    '/tmp/bin/bash',
    '/bin/bash2',
    '/bin/busybox',
    '/usr/local/bin/revsh',
    '/bin/bash\n',
  ])
    it(`does not take ${JSON.stringify(path)} for one`, () => assert.equal(isLocalShell(path, '127.0.0.1'), false))
  for (const address of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1', '::FFFF:127.0.0.1'])
    it(`stays in the pod with ${address}`, () => assert.equal(isLocalShell('/bin/bash', address), true))
  for (const address of [
    undefined,
    '',
    '10.0.0.1',
    'localhost',
    '127.0.0.1.example',
    '127.0.0.1:80',
    '::11',
    '1127.0.0.1',
    '0.0.0.0',
    '::',
  ])
    it(`leaves it with ${address}`, () => assert.equal(isLocalShell('/bin/bash', address), false))
})
