import { describe, expect, test } from 'vitest'
import { expectQuiet, orders } from '../support/orders.ts'
import { silent } from '../support/upstream.ts'

const MiB = 1024 * 1024

/** What the proxy itself holds of a transfer: what came in and has not gone out. */
describe.each([
  ['Content-Length', (size: number) => `Content-Length: ${size}\r\n\r\n`, (chunk: Buffer) => [chunk], [] as string[]],
  [
    'chunked',
    () => 'Transfer-Encoding: chunked\r\n\r\n',
    (chunk: Buffer) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')],
    ['0\r\n\r\n'],
  ],
])('a body of 64 MiB with %s', (_name, framing, pieces, last) => {
  const size = 64 * MiB
  const chunk = Buffer.alloc(64 * 1024, 'abcdefgh')

  test('a slow reader stops a fast endpoint, and the proxy holds less than a megabyte', async () => {
    const { mesh, upstream } = await orders()
    let sent = 0
    let proxyEnd = 0
    upstream.answer = (_request, connection) => {
      connection.send(`HTTP/1.1 200 OK\r\n${framing(size)}`)
      const more = () => {
        while (sent < size && connection.wire.unsent === 0) {
          for (const piece of pieces(chunk)) connection.send(piece)
          sent += chunk.length
        }
        if (sent < size) mesh.loop.after(1, more)
        else for (const piece of last) connection.send(piece)
      }
      more()
    }
    const caller = mesh.caller()
    caller.keep = false
    caller.wire.pause()
    caller.get()
    mesh.advance(100)
    // What the endpoint got rid of and nobody has read lies in the proxy, or in the two kernels.
    const held = () => sent - upstream.last.wire.unsent - caller.last.bodyBytes - 2 * 65_536
    proxyEnd = sent - 2 * 65_536
    expect(sent).toBeGreaterThan(2 * 65_536)
    expect(proxyEnd).toBeLessThan(MiB)
    let most = 0
    for (let i = 0; i < 4000 && !(caller.responses[0]?.whole ?? false); i++) {
      caller.wire.resume()
      mesh.settle()
      caller.wire.pause()
      mesh.advance(1)
      most = Math.max(most, held())
    }
    expect(most).toBeLessThan(MiB)
    expect(caller.last).toMatchObject({ whole: true, bodyBytes: size })
    expectQuiet(mesh)
  })

  test('a slow endpoint stops a fast caller, and the proxy holds less than a megabyte', async () => {
    const { mesh, upstream } = await orders({ timeouts: { requestMs: 0 } })
    const caller = mesh.caller()
    caller.send(`POST / HTTP/1.1\r\nHost: orders\r\n${framing(size)}`)
    mesh.settle()
    const { wire } = upstream.last
    upstream.last.keep = false
    wire.pause()
    let sent = 0
    const pump = () => {
      while (sent < size && caller.wire.unsent === 0) {
        for (const piece of pieces(chunk)) caller.sendMore(piece)
        sent += chunk.length
        if (sent === size) for (const piece of last) caller.sendMore(piece)
        mesh.settle()
      }
    }
    pump()
    expect(sent - 2 * 65_536).toBeLessThan(MiB)
    let most = 0
    for (let i = 0; i < 4000 && caller.responses.length === 0; i++) {
      wire.resume()
      mesh.settle()
      wire.pause()
      pump()
      mesh.advance(1)
      most = Math.max(most, sent - upstream.requests[0]!.bodyBytes - 2 * 65_536)
    }
    expect(most).toBeLessThan(MiB + chunk.length)
    expect(upstream.requests[0]).toMatchObject({ whole: true, bodyBytes: size })
    expect(caller.statuses).toEqual([200])
    expectQuiet(mesh)
  })
})

test('a body that comes before there is a connection waits in the caller', async () => {
  const { mesh, upstream } = await orders({ timeouts: { connectMs: 10_000, requestMs: 0 } })
  upstream.connectMs = 5000
  const caller = mesh.caller().send(`POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${8 * MiB}\r\n\r\n`)
  caller.sendMore(Buffer.alloc(8 * MiB))
  mesh.advance(4000)
  // One read at most, and one kernel buffer.
  expect(caller.wire.unsent).toBeGreaterThan(8 * MiB - 3 * 65_536)
  mesh.advance(2000)
  expect(upstream.requests[0]!.bodyBytes).toBe(8 * MiB)
  expect(caller.statuses).toEqual([200])
  expectQuiet(mesh)
})

test('small buffers for a connection mean less is held', async () => {
  const held = async (bufferBytes: number) => {
    const { mesh, upstream } = await orders({ limits: { bufferBytes }, listener: { limits: { bufferBytes } } })
    upstream.answer = (_request, connection) => {
      connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${8 * MiB}\r\n\r\n`)
      connection.send(Buffer.alloc(8 * MiB))
    }
    const caller = mesh.caller()
    caller.wire.pause()
    caller.get()
    mesh.settle()
    return 8 * MiB - upstream.last.wire.unsent
  }
  expect(await held(64 * 1024)).toBeLessThan((await held(4 * MiB)) / 2)
})

test('a reader that stalls for ever is cut off by the idle timeout, and what was held is let go', async () => {
  const { mesh, upstream } = await orders({ timeouts: { idleMs: 10_000 } })
  upstream.answer = (_request, connection) => {
    connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${8 * MiB}\r\n\r\n`)
    connection.send(Buffer.alloc(8 * MiB))
  }
  const caller = mesh.caller()
  caller.wire.pause()
  caller.get()
  mesh.advance(25_000)
  expect(caller.wasReset).toBe(true)
  expect(upstream.last.over).toBe(true)
  expect(mesh.flight.flag).toBe('SI')
  expectQuiet(mesh)
})

test('a caller that stalls inside its body while the endpoint takes nothing is not blamed for it', async () => {
  const { mesh, upstream } = await orders({
    listener: { timeouts: { bodyMs: 1000 } },
    timeouts: { requestMs: 60_000 },
    mesh: { upstream: { window: 1000 } },
  })
  upstream.answer = silent
  const caller = mesh.caller().send(`POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${MiB}\r\n\r\n`)
  mesh.settle()
  upstream.last.wire.pause()
  caller.sendMore(Buffer.alloc(MiB))
  mesh.advance(30_000)
  expect(caller.responses).toHaveLength(0)
  upstream.last.wire.resume()
  mesh.advance(10)
  expect(upstream.requests[0]).toMatchObject({ bodyBytes: MiB, whole: true })
})
