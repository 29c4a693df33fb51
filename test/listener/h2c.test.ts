import { describe, expect, test } from 'vitest'
import type { WireHandler } from '../../proxy/core/wire.ts'
import { hello, linesOf, post, settings } from '../codec/h2/support/frames.ts'
import type { Mesh } from '../support/mesh.ts'
import { expectQuiet, orders } from '../support/orders.ts'
import { turn } from '../support/turns.ts'

/** HTTP/2 by `Upgrade: h2c` (RFC 7540 section 3.2). */

const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'
const encoded = (...pairs: number[]) =>
  settings(...pairs)
    .subarray(9)
    .toString('base64url')
/** As curl sends it. */
const CURL = 'AAMAAABkAAQCAAAAAAIAAAAA'

function offer({
  line = 'GET / HTTP/1.1',
  connection = 'Upgrade, HTTP2-Settings',
  upgrade = 'h2c',
  value = CURL,
  more = '',
} = {}): string {
  return `${line}\r\nHost: orders\r\nConnection: ${connection}\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: ${value}\r\n${more}\r\n`
}

/** A caller that keeps what it gets, whatever protocol it is of. */
function caller(mesh: Mesh) {
  const { wire } = mesh.caller()
  const chunks: Buffer[] = []
  const state = {
    gotEnd: false,
    get text() {
      return Buffer.concat(chunks).toString('latin1')
    },
    get frames() {
      return linesOf(Buffer.concat(chunks).subarray(SWITCHED.length)).filter(
        line => !/^ {2}(x-request-id|date)/.test(line),
      )
    },
    send: (bytes: string | Buffer) =>
      turn(() => wire.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)),
  }
  const handler: WireHandler = {
    bytes: (chunk, length) => void chunks.push(Buffer.from(chunk.subarray(0, length))),
    drained() {},
    ended() {
      state.gotEnd = true
    },
    closed() {},
  }
  wire.handler = handler
  return state
}

describe('an offer that is as it should be', () => {
  test('is taken: the request is stream 1, and the connection goes on as HTTP/2', async () => {
    const { mesh, upstream } = await orders()
    const own = caller(mesh)
    own.send(
      offer({
        line: 'GET /a?b HTTP/1.1',
        connection: 'x-hop, Upgrade,HTTP2-Settings',
        more: 'X-Hop: 1\r\nX-One: 1\r\nTE: trailers, gzip\r\nCookie: a=1\r\n',
      }),
    )
    mesh.settle()
    expect(own.text.startsWith(SWITCHED)).toBe(true)
    expect(own.frames).toEqual(['HEADERS 1', '  :status: 200', '  content-length: 2', 'DATA 1 END_STREAM "ok"'])
    own.send(Buffer.concat([hello, post(3), Buffer.from([0, 0, 3, 0, 1, 0, 0, 0, 3]), Buffer.from('abc')]))
    mesh.settle()
    expect(own.frames.slice(4)).toEqual([
      'HEADERS 3',
      '  :status: 200',
      '  content-length: 2',
      'DATA 3 END_STREAM "ok"',
    ])
    const [first, second] = upstream.requests
    expect([first!.target, second!.text]).toEqual(['/a?b', 'abc'])
    expect(first!.names.filter(name => !name.startsWith('x-forwarded') && name !== 'x-request-id')).toEqual([
      'host',
      'x-one',
      'cookie',
      'te',
      'connection',
    ])
    expect(mesh.flights().map(({ path }) => path)).toEqual(['/', '/a?b'])
    expect(mesh.stat('outrigger_downstream_connections_active')).toBe(1)
  })

  test('brings settings that hold for the first answer', async () => {
    const { mesh } = await orders()
    const own = caller(mesh)
    own.send(offer({ value: encoded(4, 1) }))
    mesh.settle()
    expect(own.frames).toEqual(['HEADERS 1', '  :status: 200', '  content-length: 2', 'DATA 1 "o"'])
  })

  test('binds the caller to the preface', async () => {
    const { mesh } = await orders()
    const own = caller(mesh)
    own.send(offer())
    mesh.settle()
    own.send('GET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n')
    mesh.advance(3000)
    expect(own.frames.at(-1)).toMatch(/^GOAWAY 1 PROTOCOL_ERROR no connection preface/)
    expect(mesh.upstreams[0]!.requests.map(({ target }) => target)).toEqual(['/'])
    expect(own.gotEnd).toBe(true)
  })
})

describe('an offer is ignored, and the request served as HTTP/1.1', () => {
  test.each([
    ['two HTTP2-Settings', offer({ more: `HTTP2-Settings: ${CURL}\r\n` })],
    [
      'no HTTP2-Settings',
      `GET / HTTP/1.1\r\nHost: orders\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n`,
    ],
    ['empty settings', offer({ value: '' })],
    ['settings that are no base64url', offer({ value: 'AAMAAABk+/==' })],
    ['half a setting', offer({ value: Buffer.from([0, 3, 0, 0]).toString('base64url') })],
    ['bits behind the last byte', offer({ value: `${CURL}A` })],
    ['a setting with a value it may not have', offer({ value: encoded(5, 1) })],
    ['settings without end', offer({ value: encoded(...Array(80).fill(1)) })],
    ['Connection without HTTP2-Settings', offer({ connection: 'Upgrade' })],
    ['Connection without Upgrade', offer({ connection: 'HTTP2-Settings' })],
    ['a body', `${offer({ line: 'POST / HTTP/1.1', more: 'Content-Length: 3\r\n' })}abc`],
    [
      'a body of chunks',
      `${offer({ line: 'POST / HTTP/1.1', more: 'Transfer-Encoding: chunked\r\n' })}3\r\nabc\r\n0\r\n\r\n`,
    ],
    ['HTTP/1.0', offer({ line: 'GET / HTTP/1.0' })],
    ['HTTP/2 over TLS, which this is not', offer({ upgrade: 'h2' })],
    ['a choice of two', offer({ upgrade: 'irc, h2c' })],
  ])('%s', async (_name, bytes) => {
    const { mesh, upstream } = await orders()
    const own = mesh.caller()
    own.send(bytes)
    mesh.advance(2000)
    expect(own.statuses).toEqual([200])
    expect(
      upstream.requests.every(({ names }) => !names.includes('upgrade') && !names.includes('http2-settings')),
    ).toBe(true)
    expectQuiet(mesh)
  })

  test('a request behind it', async () => {
    const { mesh } = await orders()
    const own = mesh.caller()
    own.send(`${offer()}GET /second HTTP/1.1\r\nHost: orders\r\n\r\n`)
    mesh.settle()
    expect(own.statuses).toEqual([200, 200])
    expectQuiet(mesh)
  })

  test('any request but the first', async () => {
    const { mesh } = await orders()
    const own = mesh.caller().get()
    mesh.settle()
    own.send(offer())
    mesh.settle()
    expect(own.statuses).toEqual([200, 200])
    expectQuiet(mesh)
  })

  test('where the listener says so', async () => {
    const { mesh } = await orders({ listener: { h2cUpgrade: false } })
    const own = mesh.caller().send(offer())
    mesh.settle()
    expect(own.statuses).toEqual([200])
    expectQuiet(mesh)
  })
})
