import { describe, expect, test } from 'vitest'
import { readCases } from '../conformance/read-cases.ts'
import { nextMicrotasks } from '../support/mesh.ts'
import { expectQuiet, orders } from '../support/orders.ts'
import { type Answer, respond } from '../support/upstream.ts'

const once = { retries: { on: [] } } as const

/** Sends the answer, then closes in order: nothing says at the wire that something is missing. */
const thenClose =
  (text: string): Answer =>
  (_request, connection) => {
    connection.send(text)
    connection.end()
  }

describe('an answer cut short resets the caller and never ends as if it were whole', () => {
  test.each([
    ['Content-Length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'],
    ['Content-Length, before its first byte', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n'],
    ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    ['chunked, inside a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello'],
    ['chunked, before the trailers end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n'],
  ])('%s', async (_name, text) => {
    const { mesh, upstream } = await orders(once)
    upstream.answer = thenClose(text)
    const caller = mesh.caller().get()
    mesh.advance(2000)
    expect(caller.wasReset).toBe(true)
    expect(caller.gotEnd).toBe(false)
    expect(caller.responses.every(({ whole }) => !whole)).toBe(true)
    expect(caller.received).not.toMatch(/\r\n0\r\n\r\n$/)
    expect(mesh.flight).toMatchObject({ status: 200, flag: 'UC', failure: 'reset-after-response' })
    expectQuiet(mesh)
  })

  test('to an HTTP/1.0 caller, who would take any end for the end of the body', async () => {
    const { mesh, upstream } = await orders(once)
    upstream.answer = thenClose('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    const caller = mesh.caller().send('GET / HTTP/1.0\r\n\r\n')
    mesh.advance(2000)
    expect(caller.wasReset).toBe(true)
    expect(caller.gotEnd).toBe(false)
  })

  test('a chunk that breaks the rules after the answer has begun', async () => {
    const { mesh, upstream } = await orders(once)
    upstream.answer = (_request, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
      mesh.loop.after(10, () => connection.send('zz\r\n'))
    }
    const caller = mesh.caller().get()
    mesh.advance(2000)
    expect(caller.wasReset).toBe(true)
    expect(caller.last.text).toBe('hello')
    expect(upstream.last.over).toBe(true)
    expectQuiet(mesh)
  })

  test('a reset of the endpoint instead of a close', async () => {
    const { mesh, upstream } = await orders(once)
    upstream.answer = (_request, connection) => {
      connection.send('HTTP/1.1 200 OK\r\n\r\nhello')
      mesh.loop.after(10, () => connection.reset())
    }
    const caller = mesh.caller().get()
    mesh.advance(2000)
    expect(caller.wasReset).toBe(true)
    expect(caller.last.whole).toBe(false)
    expectQuiet(mesh)
  })
})

describe('an answer that the proxy cuts is cut visibly, also where its end is the end of the connection', () => {
  /** An answer of which the caller has a part; for HTTP/1.0 nothing but a reset tells it from the whole. */
  async function half(overrides: Parameters<typeof orders>[0] = {}) {
    const { mesh, upstream } = await orders(overrides)
    upstream.answer = (_request, connection) => void connection.send('HTTP/1.1 200 OK\r\n\r\nhello')
    const caller = mesh.caller().send('GET / HTTP/1.0\r\n\r\n')
    mesh.settle()
    expect(caller.received).toMatch(/hello$/)
    return { mesh, upstream, caller }
  }

  test('by the idle timeout', async () => {
    const { mesh, caller } = await half({ timeouts: { idleMs: 1000 } })
    mesh.advance(5000)
    expect([caller.wasReset, caller.gotEnd]).toEqual([true, false])
  })

  test('by the end of the drain', async () => {
    const { mesh, caller } = await half()
    mesh.thread.receive({ kind: 'drain', side: 'all', delayMs: 0, timeoutMs: 1000 })
    mesh.advance(20)
    await nextMicrotasks()
    mesh.advance(2000)
    expect([caller.wasReset, caller.gotEnd]).toEqual([true, false])
  })

  test('because the caller half-closed, which says that it has gone', async () => {
    const { mesh, caller } = await half()
    caller.end()
    mesh.settle()
    expect([caller.wasReset, caller.gotEnd]).toEqual([true, false])
  })

  test('because the caller read nothing for too long, be it the last of its connection or not', async () => {
    for (const version of ['1.0', '1.1']) {
      const { mesh, upstream } = await orders({ listener: { timeouts: { idleMs: 2000 } } })
      const body = 'x'.repeat(300_000)
      upstream.answer = (_request, connection) => {
        connection.send(`HTTP/1.1 200 OK\r\n\r\n${body}`)
        connection.end()
      }
      const caller = mesh.caller()
      caller.wire.pause()
      caller.send(`GET / HTTP/${version}\r\nHost: o\r\n\r\n`)
      mesh.advance(10_000)
      caller.wire.resume()
      mesh.advance(10)
      expect([caller.wasReset, caller.gotEnd], version).toEqual([true, false])
      expectQuiet(mesh)
    }
  })
})

/**
 * The conformance cases once more, through the whole proxy: what it says of a broken answer, and that it does not use
 * the connection again.
 */
const broken = readCases().filter(
  ({ kind, events, end }) => kind === 'response' && !end && events.some(event => event.startsWith('reset UPE')),
)

describe('a malformed answer is a 502, and its connection is closed', () => {
  test.each(broken.map(found => [found.title, found] as const))('%s', async (_title, { bytes, limits }) => {
    const { mesh, upstream } = await orders({
      ...once,
      limits: {
        ...(limits.maxHeaders !== undefined && { responseHeaders: limits.maxHeaders }),
        ...(limits.maxHeadBytes !== undefined && { responseHeadBytes: limits.maxHeadBytes }),
      },
    })
    upstream.answer = respond(bytes.toString('latin1'))
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([502])
    expect(JSON.parse(caller.last.text)).toMatchObject({ flag: 'UPE', failure: 'upstream-protocol-error' })
    expect(caller.over).toBe(false)
    expect(upstream.last.over).toBe(true)
    expect(mesh.flight).toMatchObject({ status: 502, flag: 'UPE' })
    expectQuiet(mesh)
  })

  test('nothing of what came before the fault reaches the caller', async () => {
    const { mesh, upstream } = await orders(once)
    upstream.answer = respond('HTTP/1.1 200 OK\r\nSet-Cookie: secret\r\nX: a\nb\r\n\r\n')
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.received).not.toMatch(/secret/)
  })

  test('an answer whose head never ends is cut off at the limit', async () => {
    const { mesh, upstream } = await orders({ ...once, limits: { responseHeadBytes: 4096 } })
    let sent = 0
    upstream.answer = (_request, connection) => {
      connection.send('HTTP/1.1 200 OK\r\n')
      const more = () => {
        if (connection.over || sent > 1_000_000) return
        connection.send(`X: ${'x'.repeat(1000)}\r\n`)
        sent += 1000
        mesh.loop.after(1, more)
      }
      more()
    }
    const caller = mesh.caller().get()
    mesh.advance(3000)
    expect(caller.statuses).toEqual([502])
    expect(sent).toBeLessThan(10_000)
  })
})

test('a caller that asks again after a 502 gets a new connection to the endpoint', async () => {
  const { mesh, upstream } = await orders(once)
  upstream.answer = respond('HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n')
  const caller = mesh.caller().get()
  mesh.settle()
  upstream.answer = respond('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  caller.get()
  mesh.settle()
  expect(caller.statuses).toEqual([502, 200])
  expect(upstream.connections).toHaveLength(2)
})
