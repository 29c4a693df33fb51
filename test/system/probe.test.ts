import { connect, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { probe } from '../../proxy/system/probe.ts'
import { node, startChild } from '../integration/support/child.ts'
import { freePort } from '../integration/support/ports.ts'
import { until } from '../integration/support/until.ts'

const ask = (address: string, port: number) => new Promise<boolean>(resolve => probe({ address, port }, resolve))

test('somebody who takes connections, by address and by name', async () => {
  let ended = 0
  const server = createServer(socket => socket.on('close', () => ended++).on('error', () => {}))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  expect(await ask('127.0.0.1', port)).toBe(true)
  expect(await ask('localhost', port)).toBe(true)
  // It keeps nothing open.
  await expect.poll(() => ended).toBe(2)
  server.close()
})

test('nobody there, no such name', async () => {
  expect(await ask('127.0.0.1', await freePort())).toBe(false)
  expect(await ask('no-such-host.invalid', 80)).toBe(false)
})

test('somebody who answers nothing: it is not waited for', async () => {
  const port = await freePort()
  const script = `require('node:net').createServer().listen({ port: ${port}, host: '127.0.0.1', backlog: 1 }, () => console.log('listens'))`
  const child = startChild(node, ['-e', script])
  await child.said('that it listens', out => out.includes('listens'))
  await child.freeze()
  // Those that wait to be accepted fill its backlog; what comes after them is left without an answer.
  const waiting = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  await until('that the backlog is full', () => waiting.filter(({ connecting }) => !connecting).length >= 2)
  const began = performance.now()
  expect(await ask('127.0.0.1', port)).toBe(false)
  expect(performance.now() - began).toBeGreaterThan(900)
  for (const socket of waiting) socket.destroy()
})
