import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { lookupName } from '../../proxy/system/names.ts'
import { dial } from '../../proxy/system/net.ts'
import { probe } from '../../proxy/system/probe.ts'

const find = (name: string, options: object = { all: true }) =>
  new Promise(resolve =>
    lookupName(name, options, (error, address, family) =>
      resolve(error?.message ?? (family === undefined ? address : [address, family])),
    ),
  )

test('localhost and its like are this machine, whatever a name server says', async () => {
  const both = [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]
  for (const name of ['localhost', 'LOCALHOST.', 'a.localhost']) expect(await find(name)).toEqual(both)
  expect(await find('localhost', { family: 6 })).toEqual(['::1', 6])
  expect(await find('10.0.0.1', {})).toEqual(['10.0.0.1', 4])
  expect(await find('10.0.0.1', { family: 6 })).toBe('10.0.0.1 has no IPv6 address')
})

test.each(['127.0.0.1', '::1'])('a connection to localhost finds what listens on %s only', async address => {
  const server = createServer(socket => socket.end())
  const port = await new Promise<number>(resolve =>
    server.listen(0, address, () => resolve((server.address() as { port: number }).port)),
  )
  const reached = await new Promise(resolve =>
    dial('localhost', port, { connected: wire => resolve(wire.peer.address), failed: code => resolve(code) }),
  )
  expect(reached).toBe(address)
  expect(await new Promise(resolve => probe({ address: 'localhost', port }, resolve))).toBe(true)
  server.close()
})

test('a name that does not exist fails with its name', async () => {
  const failed = await new Promise(resolve =>
    dial('there-is-no-such-name.invalid', 80, { connected: () => resolve('connected'), failed: resolve }),
  )
  expect(failed).toContain('there-is-no-such-name.invalid')
})
