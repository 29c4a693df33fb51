import { randomBytes } from 'node:crypto'
import * as nodeHttp2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { failures } from '../../../proxy/core/failure.ts'
import { until } from '../../integration/support/until.ts'
import { type Origin, type OriginSettings, startOrigin } from './origin.ts'
import { ask, connectTo, type Failed } from './support/ask.ts'
import '../../support/seed.ts'

/** Node's HTTP/2 is nghttp2: another implementation, with another HPACK encoder, at the other end of a real socket. */

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function origin(settings: OriginSettings = {}): Promise<Origin> {
  const started = await startOrigin(settings)
  closers.push(() => started.close())
  return started
}

async function nodeClient(settings: OriginSettings = {}, options: nodeHttp2.ClientSessionOptions = {}) {
  const server = await origin(settings)
  const session = nodeHttp2.connect(`http://127.0.0.1:${server.port}`, options)
  session.on('error', () => {})
  closers.push(() => session.destroy())
  return { server, session }
}

interface Got {
  readonly headers: nodeHttp2.IncomingHttpHeaders
  readonly body: Buffer
  readonly trailers: nodeHttp2.IncomingHttpHeaders
}

function request(
  session: nodeHttp2.ClientHttp2Session,
  headers: nodeHttp2.OutgoingHttpHeaders,
  body?: Buffer,
  trailers?: Record<string, string>,
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined, waitForTrailers: trailers !== undefined })
    const chunks: Buffer[] = []
    let got: nodeHttp2.IncomingHttpHeaders = {}
    let trailing: nodeHttp2.IncomingHttpHeaders = {}
    stream.on('response', found => {
      got = found
    })
    stream.on('trailers', found => {
      trailing = found
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('close', () => resolve({ headers: got, body: Buffer.concat(chunks), trailers: trailing }))
    if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers))
    if (body !== undefined) stream.end(body)
  })
}

const name = fc.stringMatching(/^x-[a-z0-9]{1,20}$/)
const value = fc.oneof(
  fc.constantFrom('1', 'two words', 'a'.repeat(300)),
  fc.stringMatching(/^[!-~]([ -~]{0,80}[!-~])?$/),
)
const fields = fc.dictionary(name, value, { maxKeys: 20 })

describe('a caller', () => {
  test('gets what it asks for, and its body back', async () => {
    const { session } = await nodeClient()
    expect((await request(session, { ':path': '/' })).body.toString()).toBe('hello, world\n')
    expect((await request(session, { ':method': 'POST', ':path': '/' }, Buffer.from('12345'))).body.toString()).toBe(
      '5 bytes\n',
    )
    const sent = randomBytes(3_000_000)
    expect((await request(session, { ':method': 'POST', ':path': '/echo' }, sent)).body.equals(sent)).toBe(true)
    const head = await request(session, { ':method': 'HEAD', ':path': '/bytes/100' })
    expect(head.headers['content-length']).toBe('100')
    expect(head.body).toHaveLength(0)
  })

  test('has many streams at once, large ones and small ones', async () => {
    const { session } = await nodeClient()
    const sizes = Array.from({ length: 80 }, (_, i) => (i % 8 === 0 ? 1_000_000 : i * 100))
    const got = await Promise.all(sizes.map(size => request(session, { ':path': `/bytes/${size}` })))
    expect(got.map(({ body }) => body.length)).toEqual(sizes)
  })

  test('has small windows, and changes them', async () => {
    const { session } = await nodeClient({}, { settings: { initialWindowSize: 1000 } })
    const first = request(session, { ':path': '/bytes/200000' })
    session.settings({ initialWindowSize: 100 })
    const second = request(session, { ':path': '/bytes/5000' })
    session.settings({ initialWindowSize: 100_000, maxFrameSize: 60_000 })
    expect((await first).body).toHaveLength(200_000)
    expect((await second).body).toHaveLength(5000)
  })

  test('sends trailers and gets them back', async () => {
    const { session } = await nodeClient()
    const got = await request(session, { ':method': 'POST', ':path': '/echo' }, Buffer.from('abc'), { 'x-sum': '6' })
    expect(got.body.toString()).toBe('abc')
    expect(got.trailers['x-sum']).toBe('6')
  })

  test('gives up in the middle, and goes on with other streams', async () => {
    const resets: string[] = []
    const { session, server } = await nodeClient({
      onReset: (failure, detail) => resets.push(`${failure.failure} ${detail}`),
    })
    const stream = session.request({ ':path': '/wait' })
    stream.on('error', () => {})
    await request(session, { ':path': '/' })
    stream.close(nodeHttp2.constants.NGHTTP2_CANCEL)
    await until('the reset arrives', () => resets.length !== 0)
    await request(session, { ':path': '/' })
    expect(resets).toEqual(['downstream-gone RST_STREAM CANCEL'])
    expect(server.connections.size).toBe(1)
  })

  test('has more in its head than is taken', async () => {
    const { session } = await nodeClient({ maxHeadBytes: 2000 })
    const got = await request(session, { ':path': '/', x: 'y'.repeat(3000) })
    expect(got.headers[':status']).toBe(431)
    expect((await request(session, { ':path': '/' })).headers[':status']).toBe(200)
  })

  test('is told when the server drains, and finishes what runs', async () => {
    const { session, server } = await nodeClient()
    const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
    stream.write('x')
    await request(session, { ':path': '/' })
    const goaways: number[] = []
    session.on('goaway', (code, last) => {
      goaways.push(code, last)
      if (goaways.length === 4) stream.end('y')
    })
    const closed = new Promise(resolve => session.on('close', resolve))
    for (const connection of server.connections) connection.drain()
    const body: Buffer[] = []
    stream.on('data', (chunk: Buffer) => body.push(chunk))
    await closed
    expect(Buffer.concat(body).toString()).toBe('2 bytes\n')
    expect(goaways).toEqual([0, 2 ** 31 - 1, 0, 3])
  })

  test('any fields arrive as nghttp2 encoded them, request after request', async () => {
    const seen: Record<string, string>[] = []
    const { session } = await nodeClient({ onHead: head => seen.push(Object.fromEntries(pairsOf(head.headers))) })
    await fc.assert(
      fc.asyncProperty(fc.array(fields, { minLength: 1, maxLength: 6 }), async lists => {
        seen.length = 0
        await Promise.all(lists.map(list => request(session, { ':path': '/', ...list })))
        expect(seen).toEqual(lists)
      }),
      { numRuns: 60 },
    )
  })
})

function pairsOf(headers: { forEach(visit: (name: string, value: string) => void): void }): [string, string][] {
  const pairs: [string, string][] = []
  headers.forEach((field, text) => {
    pairs.push([field, text])
  })
  return pairs
}

describe('an endpoint', () => {
  async function nodeServer(
    onStream: (stream: nodeHttp2.ServerHttp2Stream, headers: nodeHttp2.IncomingHttpHeaders) => void,
    options: nodeHttp2.ServerOptions = {},
  ) {
    const server = nodeHttp2.createServer(options)
    server.on('stream', onStream)
    server.on('sessionError', () => {})
    const sessions = new Set<nodeHttp2.ServerHttp2Session>()
    server.on('session', session => sessions.add(session))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    closers.push(() => {
      for (const session of sessions) session.destroy()
      server.close()
    })
    const endpoint = await connectTo((server.address() as AddressInfo).port)
    closers.push(() => endpoint.connection.destroy())
    return { ...endpoint, server, sessions }
  }

  test('answers, with interim heads, a body and trailers', async () => {
    const { connection, log } = await nodeServer(stream => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' })
      stream.respond({ ':status': 200, 'x-a': 'b' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end('hello')
    })
    const got = await ask(connection, {})
    expect(got).toMatchObject({ status: 200, interim: [103], trailers: [['grpc-status', '0']] })
    expect(got.body.toString()).toBe('hello')
    expect(got.fields).toContainEqual(['x-a', 'b'])
    await new Promise(setImmediate)
    expect(log).toEqual(['released'])
  })

  test('echoes large bodies on many streams at once', async () => {
    const { connection } = await nodeServer(stream => {
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    })
    const bodies = Array.from({ length: 20 }, (_, i) =>
      Array.from({ length: 1 + (i % 5) }, () => randomBytes(100_000 * (i % 4) + i)),
    )
    const got = await Promise.all(bodies.map(body => ask(connection, { method: 'POST', body })))
    got.forEach(({ body }, i) => {
      expect(body.equals(Buffer.concat(bodies[i]!))).toBe(true)
    })
  })

  test('gets trailers', async () => {
    const { connection } = await nodeServer(stream => {
      stream.on('trailers', trailers => {
        stream.respond({ ':status': 200, 'x-got': trailers['x-sum'] ?? '' })
        stream.end()
      })
      stream.resume()
    })
    const got = await ask(connection, { method: 'POST', body: [Buffer.from('abc')], trailers: ['X-Sum', '6'] })
    expect(got.fields).toContainEqual(['x-got', '6'])
  })

  test('answers before the request is whole', async () => {
    const { connection, log } = await nodeServer(stream => {
      stream.on('error', () => {})
      stream.respond({ ':status': 413 }, { endStream: true })
    })
    const stream = ask(connection, { method: 'POST', body: Array.from({ length: 40 }, () => Buffer.alloc(100_000)) })
    expect((await stream).status).toBe(413)
    expect((await ask(connection, {})).status).toBe(413)
    await new Promise(setImmediate)
    expect(log).toEqual(['released', 'released'])
  })

  test('refuses a stream, and that one may go elsewhere', async () => {
    const { connection } = await nodeServer((stream, headers) => {
      stream.on('error', () => {})
      if (headers[':path'] === '/refused') stream.close(nodeHttp2.constants.NGHTTP2_REFUSED_STREAM)
      else if (headers[':path'] === '/broken') stream.close(nodeHttp2.constants.NGHTTP2_INTERNAL_ERROR)
      else stream.respond({ ':status': 200 }, { endStream: true })
    })
    await expect(ask(connection, { path: '/refused' })).rejects.toMatchObject({ failure: failures.refusedStream })
    await expect(ask(connection, { path: '/broken' })).rejects.toMatchObject({ failure: failures.streamReset })
    expect((await ask(connection, {})).status).toBe(200)
  })

  test('goes away: what it has is answered, and no stream is lost', async () => {
    const waiting: nodeHttp2.ServerHttp2Stream[] = []
    const { connection, log, sessions } = await nodeServer(stream => waiting.push(stream))
    const asked = [ask(connection, {}), ask(connection, {})]
    while (waiting.length < 2) await new Promise(setImmediate)
    for (const session of sessions) session.close()
    while (connection.capacity !== 0) await new Promise(setImmediate)
    for (const stream of waiting) stream.respond({ ':status': 200 }, { endStream: true })
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200])
    while (log.length === 0) await new Promise(setImmediate)
    expect(log).toEqual(['closed idle'])
  })

  test('dies: what ran fails', async () => {
    const { connection, log, sessions } = await nodeServer(stream => {
      for (const session of sessions) session.socket.destroy()
      stream.on('error', () => {})
    })
    await expect(ask(connection, {})).rejects.toMatchObject({
      failure: failures.resetBeforeResponse,
    } satisfies Partial<Failed>)
    expect(log).toEqual(['closed busy'])
  })

  test('allows few streams', async () => {
    let now = 0
    let most = 0
    const { connection, log } = await nodeServer(
      stream => {
        most = Math.max(most, ++now)
        setImmediate(() => {
          now--
          stream.respond({ ':status': 200 }, { endStream: true })
        })
      },
      { settings: { maxConcurrentStreams: 3 } },
    )
    await ask(connection, {})
    expect(connection.capacity).toBe(3)
    const asked = [1, 2, 3].map(() => ask(connection, {}))
    expect(connection.capacity).toBe(0)
    await Promise.all(asked)
    await new Promise(setImmediate)
    expect(connection.capacity).toBe(3)
    expect(most).toBeLessThanOrEqual(3)
    expect(log).toContain('released')
  })

  test('any fields arrive as we encoded them, request after request', async () => {
    const seen: nodeHttp2.IncomingHttpHeaders[] = []
    const { connection } = await nodeServer((stream, headers) => {
      const own = Object.fromEntries(Object.entries(headers).filter(([field]) => field.startsWith('x-')))
      seen.push(own)
      stream.respond({ ':status': 200, ...own }, { endStream: true })
    })
    await fc.assert(
      fc.asyncProperty(fc.array(fields, { minLength: 1, maxLength: 6 }), async lists => {
        seen.length = 0
        const got = await Promise.all(lists.map(list => ask(connection, { fields: Object.entries(list).flat() })))
        expect(seen).toEqual(lists)
        expect(
          got.map(answer => Object.fromEntries(answer.fields.filter(([field]) => field.startsWith('x-')))),
        ).toEqual(lists)
      }),
      { numRuns: 60 },
    )
  })

  test('asks for an extended CONNECT only where it is taken', async () => {
    const { connection } = await nodeServer(
      (stream, headers) => {
        stream.respond({ ':status': 200, 'x-protocol': headers[':protocol'] })
        stream.pipe(stream)
      },
      { settings: { enableConnectProtocol: true } },
    )
    await ask(connection, {}).catch(() => {})
    expect(connection).toMatchObject({ extendedConnect: true })
  })
})
