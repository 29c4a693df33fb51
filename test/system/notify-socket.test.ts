import { join } from 'node:path'
import { expect, test } from 'vitest'
import { notifySocket } from '../../proxy/system/notify-socket.ts'
import { datagramSocket } from '../support/datagram-socket.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

test.each([
  ['a file', () => join(temporaryFolder(), 'notify')],
  ['an abstract name', () => `@outrigger-test-${process.pid}`],
])('%s: each message is one datagram', (_name, pathOf) => {
  const path = pathOf()
  using systemd = datagramSocket(path)
  const notify = notifySocket(path)
  expect(notify('READY=1\nSTATUS=serves')).toBe(true)
  expect(notify('WATCHDOG=1')).toBe(true)
  expect(systemd.read()).toEqual(['READY=1\nSTATUS=serves', 'WATCHDOG=1'])
})

test('where nothing listens, or the path is none, it says that it did not go', () => {
  expect(notifySocket(join(temporaryFolder(), 'nothing'))('READY=1')).toBe(false)
  expect(notifySocket('vsock:2:1234')('READY=1')).toBe(false)
  expect(notifySocket(`/${'x'.repeat(200)}`)('READY=1')).toBe(false)
})
