import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Wire } from '../../proxy/core/wire.ts'
import { sharedRead } from '../../proxy/system/buffers.ts'
import { listenOn } from '../../proxy/system/listen-on.ts'
import { dial, dialPath, listen } from '../../proxy/system/net.ts'
import { SocketWire } from '../../proxy/system/socket-wire.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** Keeps what a wire says. */
function record(wire: Wire) {
  const seen = { text: '', buffers: [] as ArrayBufferLike[], ended: false, closed: false }
  wire.handler = {
    bytes(chunk, length) {
      seen.text += chunk.toString('latin1', 0, length)
      seen.buffers.push(chunk.buffer)
    },
    drained() {},
    ended() {
      seen.ended = true
    },
    closed() {
      seen.closed = true
    },
  }
  return seen
}

async function accept(): Promise<{
  readonly wire: SocketWire
  readonly caller: Socket
  readonly port: number
  close(): void
}> {
  const accepted = Promise.withResolvers<SocketWire>()
  const acceptor = await listen({ address: '127.0.0.1', port: 0, shared: false }, accepted.resolve, accepted.reject)
  const caller = connect(acceptor.port, '127.0.0.1')
  return { wire: await accepted.promise, caller, port: acceptor.port, close: () => acceptor.close() }
}

test('an accepted connection reads into the one shared buffer: this Node lets its handle be moved', async () => {
  const { wire, caller, close } = await accept()
  const seen = record(wire)
  caller.write('hello')
  await expect.poll(() => seen.text).toBe('hello')
  expect(seen.buffers).toEqual([sharedRead.buffer])
  expect(wire.peer).toMatchObject({ address: '127.0.0.1', port: caller.localPort, localPort: caller.remotePort })
  wire.write(Buffer.from('good day'))
  const answer = await new Promise<string>(resolve => caller.once('data', chunk => resolve(String(chunk))))
  expect(answer).toBe('good day')
  caller.end()
  await expect.poll(() => seen.ended).toBe(true)
  wire.end()
  await expect.poll(() => seen.closed).toBe(true)
  close()
})

test('a body that is expected is read into a buffer of its own', async () => {
  const { wire, caller, close } = await accept()
  const seen = record(wire)
  caller.write('head')
  wire.expect(1024 * 1024)
  await expect.poll(() => seen.text).toBe('head')
  caller.write('body')
  await expect.poll(() => seen.text).toBe('headbody')
  expect(seen.buffers[0]).toBe(sharedRead.buffer)
  expect(seen.buffers[1]).not.toBe(sharedRead.buffer)
  caller.destroy()
  wire.destroy()
  close()
})

test('without a handle to move, a wire over the socket as it is does the same', async () => {
  const accepted = Promise.withResolvers<Socket>()
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, accepted.resolve).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const caller = connect((server.address() as { port: number }).port, '127.0.0.1')
  const wire = new SocketWire(await accepted.promise)
  wire.socket.resume()
  const seen = record(wire)
  caller.write('hello')
  await expect.poll(() => seen.text).toBe('hello')
  caller.end()
  await expect.poll(() => seen.ended).toBe(true)
  wire.end()
  await expect.poll(() => seen.closed).toBe(true)
  server.close()
})

test('a dial says connected, or why not, once', async () => {
  const { wire, caller, port, close } = await accept()
  const connected = await new Promise<Wire>((resolve, reject) =>
    dial('127.0.0.1', port, { connected: resolve, failed: reject }),
  )
  const seen = record(connected)
  connected.destroy()
  await expect.poll(() => seen.closed).toBe(true)
  caller.destroy()
  wire.destroy()
  close()
  const code = await new Promise<string>(resolve =>
    dial('127.0.0.1', 1, { connected: () => resolve('connected'), failed: resolve }),
  )
  expect(code).toBe('ECONNREFUSED')
})

test('an address is listened on without a look-up: this Node has the way, and errors come as ever', async () => {
  const server = createServer()
  const looked: unknown[] = []
  server.listen = (...options) => {
    looked.push(options)
    return server
  }
  await new Promise<void>(resolve => {
    server.once('listening', resolve)
    listenOn(server, { address: '127.0.0.1', port: 0 })
  })
  expect(looked).toEqual([])
  const { port } = server.address() as { port: number }
  await expect(
    listen(
      { address: '127.0.0.1', port, shared: false },
      () => {},
      () => {},
    ),
  ).rejects.toMatchObject({ code: 'EADDRINUSE' })
  server.close()
})

test('several may listen on a shared port', async () => {
  const quiet = () => {}
  const first = await listen({ address: '127.0.0.1', port: 0, shared: true }, quiet, quiet)
  const second = await listen({ address: '127.0.0.1', port: first.port, shared: true }, quiet, quiet)
  expect(second.port).toBe(first.port)
  for (const acceptor of [first, second]) acceptor.close()
})

describe('a Unix socket that is not there', () => {
  const path = join(temporaryFolder(), 'none.sock')

  test('is told later, and not where it was given up', async () => {
    const heard: string[] = []
    const listener = { connected() {}, failed: (code: string) => void heard.push(code) }
    dialPath(path, listener)
    dialPath(path, listener)()
    expect(heard).toEqual([])
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    expect(heard).toEqual(['ENOENT'])
  })
})
