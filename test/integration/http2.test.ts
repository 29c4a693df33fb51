import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { obtain } from '../peers/obtain.ts'
import { type Backend, startBackend } from './support/backend.ts'
import { run } from './support/child.ts'
import { curl } from './support/curl.ts'
import { freePort } from './support/ports.ts'
import { get, type RunningProxy, startProxy } from './support/proxy.ts'
import { rawClient } from './support/raw.ts'
import { until } from './support/until.ts'

// HTTP/2 through the program that users run, with other people's HTTP/2 at the other end.

let backend: Backend
beforeAll(async () => {
  backend = await startBackend()
})
afterAll(() => backend.stop())

interface Got {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly trailers: IncomingHttpHeaders
}

function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string | Buffer): Promise<Got> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':authority': 'orders', ...headers }, { endStream: body === undefined })
    let got: IncomingHttpHeaders = {}
    let trailers: IncomingHttpHeaders = {}
    let text = ''
    stream.setEncoding('latin1')
    stream.on('response', found => {
      got = found
    })
    stream.on('trailers', found => {
      trailers = found
    })
    stream.on('data', (chunk: string) => {
      text += chunk
    })
    stream.on('error', reject)
    stream.on('close', () => resolve({ status: Number(got[':status']), headers: got, body: text, trailers }))
    if (body !== undefined) stream.end(body)
  })
}

function client(port: number): ClientHttp2Session & Disposable {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  return Object.assign(session, { [Symbol.dispose]: () => session.destroy() })
}

async function start(
  addresses: readonly string[],
  service: object = {},
  more: object = {},
): Promise<{ proxy: RunningProxy; port: number } & AsyncDisposable> {
  const port = await freePort()
  const proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
    discovery: { endpoints: { orders: addresses } },
    services: { orders: service },
    ...more,
  })
  return { proxy, port, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() }
}

test.each([
  ['as it is', []],
  ['strict', ['--strict']],
])(
  'h2spec: all cases pass on a listener, %s',
  async (_name, more) => {
    await using all = await start([backend.address])
    // Answered when the request is whole: an answer to one that goes on would close the stream before its error is there.
    const args = ['-h', '127.0.0.1', '-p', String(all.port), '-P', '/whole', '-o', '5', ...more]
    const { out } = await run(await obtain('h2spec'), args)
    expect(out.split('\n').filter(line => line.includes('×'))).toEqual([])
    expect(out).toMatch(/14[56] tests, 14[56] passed, 0 skipped, 0 failed/)
  },
  300_000,
)

test('h2load: many streams over few connections, not one request fails', async () => {
  await using all = await start([backend.address])
  for (const args of [
    ['-c', '8', '-m', '16', '-n', '8000', `http://127.0.0.1:${all.port}/`],
    ['-c', '4', '-m', '4', '-n', '200', `http://127.0.0.1:${all.port}/bytes/300000`],
  ]) {
    const { out } = await run(await obtain('h2load'), args)
    const count = args[args.indexOf('-n') + 1]!
    expect(out).toMatch(new RegExp(`${count} done, ${count} succeeded, 0 failed, 0 errored, 0 timeout`))
  }
}, 300_000)

test('one port speaks both: each caller gets its answer in its own words, and the log says which', async () => {
  await using all = await start([backend.address], {}, { accessLog: { mode: 'on', format: 'json' } })
  using session = client(all.port)
  const body = Buffer.alloc(3_000_000, 'outrigger ')
  const [second, first, echo, count] = await Promise.all([
    ask(session, { ':path': '/' }),
    get(all.port, '/'),
    ask(session, { ':method': 'POST', ':path': '/echo' }, body),
    ask(session, { ':method': 'POST', ':path': '/count', 'content-length': 5 }, 'hello'),
  ])
  expect([second.status, second.body, first.status, first.body]).toEqual([
    200,
    `${backend.port}\n`,
    200,
    `${backend.port}\n`,
  ])
  expect(echo.body === body.toString('latin1')).toBe(true)
  expect(count.body).toBe('5\n')
  await until(
    'two protocols in the log',
    () => all.proxy.out().includes('"HTTP/2"') && all.proxy.out().includes('"HTTP/1.1"'),
  )
})

test('curl --http2 offers h2c and gets it; with a switch it is not taken', async () => {
  await using taking = await start([backend.address])
  const port = await freePort()
  await using _proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders', h2cUpgrade: false }],
    discovery: { endpoints: { orders: [backend.address] } },
  })
  const ask = (to: number, ...more: string[]) =>
    curl('--http2', ...more, `http://127.0.0.1:${to}/bytes/300000`, `http://127.0.0.1:${to}/count`, '-o', '/dev/null')
  const [second, first, upload] = await Promise.all([ask(taking.port), ask(port), ask(taking.port, '-d', 'hello')])
  // curl 7 drops an answer of which more than 32 KiB come with the 101.
  for (let i = 0; i < 20; i++) expect(readFileSync((await ask(taking.port)).file).length).toBe(300_000)
  expect([second.exit, second.status, second.head[0]]).toEqual([0, 200, 'HTTP/2 200 '])
  expect(readFileSync(second.file).length).toBe(300_000)
  expect([first.exit, first.head[0]]).toEqual([0, 'HTTP/1.1 200 OK'])
  // With a body the offer is ignored.
  expect([upload.exit, upload.head[0]]).toEqual([0, 'HTTP/1.1 200 OK'])
})

test('a stream that is cancelled is cancelled at the endpoint, and the others go on', async () => {
  await using all = await start([backend.address])
  using session = client(all.port)
  const hanging = session.request({ ':path': '/hang', ':authority': 'orders' })
  hanging.on('error', () => {})
  await until('it runs', async () => (await all.proxy.metrics()).value('outrigger_upstream_requests_active') === 1)
  hanging.close(constants.NGHTTP2_CANCEL)
  await until(
    'it is given up',
    async () => (await all.proxy.metrics()).value('outrigger_upstream_requests_active') === 0,
  )
  expect((await ask(session, { ':path': '/' })).status).toBe(200)
})

test('SIGTERM: GOAWAY, what runs is answered, and the proxy exits', async () => {
  await using all = await start([backend.address], {}, { drain: { delay: '0s', timeout: '10s' } })
  using session = client(all.port)
  let goaways = 0
  session.on('goaway', () => goaways++)
  const slow = ask(session, { ':path': '/slow/800' })
  await until('it runs', async () => (await all.proxy.metrics()).value('outrigger_upstream_requests_active') === 1)
  all.proxy.signal('SIGTERM')
  expect(await slow).toMatchObject({ status: 200, body: 'slow\n' })
  expect(await all.proxy.ended).toEqual({ code: 0, signal: null })
  expect(goaways).toBeGreaterThan(0)
})

describe('endpoints that speak HTTP/2', () => {
  const servers: { close(): void }[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  /** `node:http2`, which says what it got. */
  async function startServer() {
    const sessions = new Set<ServerHttp2Session>()
    const server = createServer({ settings: { maxConcurrentStreams: 20 } })
    server.on('session', session => sessions.add(session))
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on('error', () => {})
      const path = headers[':path']
      if (path === '/hang') return
      if (path === '/echo') {
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'yes' }))
        stream.pipe(stream)
        return
      }
      stream.respond({ ':status': 200, 'content-type': 'application/json' })
      stream.end(
        JSON.stringify({
          authority: headers[':authority'],
          scheme: headers[':scheme'],
          te: headers.te,
          one: headers['x-one'],
        }),
      )
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    servers.push({
      close() {
        for (const session of sessions) session.destroy()
        server.close()
      },
    })
    return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, sessions }
  }

  test.each(['http2', 'grpc'])('protocol: %s: callers of both versions, bodies both ways, trailers', async protocol => {
    const server = await startServer()
    await using all = await start([server.address], { protocol })
    using session = client(all.port)
    const body = Buffer.alloc(2_000_000, 'outrigger ')
    const [first, second, echo] = await Promise.all([
      get(all.port, '/', { headers: { host: 'orders', 'x-one': '1', connection: 'close' } }),
      ask(session, { ':path': '/', te: 'trailers' }),
      ask(session, { ':method': 'POST', ':path': '/echo' }, body),
    ])
    expect(JSON.parse(first.body)).toEqual({ authority: 'orders', scheme: 'http', one: '1' })
    expect(JSON.parse(second.body)).toEqual({ authority: 'orders', scheme: 'http', te: 'trailers' })
    expect(echo.body === body.toString('latin1')).toBe(true)
    expect(echo.trailers['x-end']).toBe('yes')
    const echoed = await get(all.port, '/echo', { method: 'POST', body })
    expect(echoed.body.length).toBe(body.length)
  })

  test.each(['http2', 'grpc'])('an application behind an inbound listener that speaks %s', async protocol => {
    const server = await startServer()
    const port = await freePort()
    await using _proxy = await startProxy({
      inbound: [{ listen: `127.0.0.1:${port}`, forward: server.address, application: { protocol } }],
    })
    using session = client(port)
    const [first, echo] = await Promise.all([
      get(port, '/', { headers: { 'x-one': '1' } }),
      ask(session, { ':method': 'POST', ':path': '/echo' }, 'hello'),
    ])
    expect(JSON.parse(first.body)).toMatchObject({ one: '1' })
    expect([echo.body, echo.trailers['x-end']]).toEqual(['hello', 'yes'])
    expect(server.sessions.size).toBe(1)
  })

  test('many requests at once share connections, as many as its limit of streams needs', async () => {
    const server = await startServer()
    await using all = await start([server.address], { protocol: 'http2' })
    using session = client(all.port)
    expect((await ask(session, { ':path': '/' })).status).toBe(200)
    const got = await Promise.all(
      Array.from({ length: 100 }, () => ask(session, { ':method': 'POST', ':path': '/echo' }, Buffer.alloc(20_000))),
    )
    expect(got.every(({ status, body }) => status === 200 && body.length === 20_000)).toBe(true)
    expect(server.sessions.size).toBeLessThanOrEqual(6)
  })

  test('one that goes away: its connections are left, and no request fails', async () => {
    const server = await startServer()
    await using all = await start([server.address], { protocol: 'http2' })
    using session = client(all.port)
    const statuses: number[] = []
    for (let i = 0; i < 60; i++) {
      if (i % 10 === 5) for (const old of server.sessions) old.close()
      statuses.push(...(await Promise.all([1, 2, 3].map(async () => (await ask(session, { ':path': '/' })).status))))
    }
    expect(statuses).toEqual(Array(180).fill(200))
    expect(server.sessions.size).toBeGreaterThan(3)
  })

  test('nghttpd, under load from h2load', async () => {
    const port = await freePort()
    const child = spawn(
      await obtain('nghttpd'),
      ['--no-tls', '--address', '127.0.0.1', '-d', import.meta.dirname, String(port)],
      { stdio: 'ignore' },
    )
    servers.push({ close: () => child.kill('SIGKILL') })
    await until('nghttpd listens', () =>
      rawClient(port).then(
        ({ socket }) => socket.destroy() !== undefined,
        () => false,
      ),
    )
    await using all = await start([`127.0.0.1:${port}`], { protocol: 'http2' })
    const { out } = await run(await obtain('h2load'), [
      '-c',
      '8',
      '-m',
      '16',
      '-n',
      '4000',
      `http://127.0.0.1:${all.port}/http2.test.ts`,
    ])
    expect(out).toMatch(/4000 done, 4000 succeeded, 0 failed, 0 errored, 0 timeout/)
    expect(out).toMatch(/4000 2xx/)
  })
})
