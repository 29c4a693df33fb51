import { expect, test } from 'vitest'
import type { Failure } from '../../proxy/core/failure.ts'
import { DialAttempt } from '../../proxy/pool/dial.ts'
import { systemClock } from '../../proxy/system/clock.ts'
import { dial } from '../../proxy/system/net.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { node, startChild } from './support/child.ts'

test('a process that ends with the connection in its backlog has refused it', async () => {
  await using server = startChild(node, [
    '-e',
    `const server = require('node:net').createServer().listen(0, '127.0.0.1', () => console.log(server.address().port))`,
  ])
  await server.said('its port', out => out.endsWith('\n'))
  await server.freeze()
  const { promise, resolve } = Promise.withResolvers<readonly [Failure, string]>()
  new DialAttempt(
    { dialed: () => {}, dialFailed: (_, failure, detail) => resolve([failure, detail]) },
    manualClock(new EventLoop()),
    {
      address: '127.0.0.1',
      port: Number(server.out()),
      transport: { key: '', isTls: false, dial },
      connectTimeoutMs: 0,
    },
  )
  // The system call is made in the next tick; this loop sees the connection only after this one has returned.
  await new Promise(process.nextTick)
  server.signal('SIGKILL')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  const [failure, detail] = await promise
  expect([failure.failure, detail]).toEqual(['connect-refused', 'ECONNRESET'])
})

test('a connection that is made while the thread is held up is no connection that came too late', async () => {
  await using server = startChild(node, [
    '-e',
    `const server = require('node:net').createServer().listen(0, '127.0.0.1', () => console.log(server.address().port))`,
  ])
  await server.said('its port', out => out.endsWith('\n'))
  const { promise, resolve } = Promise.withResolvers<string>()
  // The event loop comes to its timers next, and reads after them.
  await new Promise(setImmediate)
  new DialAttempt(
    {
      dialed(_, wire) {
        wire.destroy()
        resolve('connected')
      },
      dialFailed: (_, { failure }) => resolve(failure),
    },
    systemClock,
    {
      address: '127.0.0.1',
      port: Number(server.out()),
      transport: { key: '', isTls: false, dial },
      connectTimeoutMs: 100,
    },
  )
  await new Promise(process.nextTick)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
  expect(await promise).toBe('connected')
})
