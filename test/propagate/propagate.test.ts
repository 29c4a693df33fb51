import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type ClientHttp2Session, connect, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Client, credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js'
import { Pool } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const PROPAGATE = join(import.meta.dirname, '../../propagate/main.ts')
const APP = join(import.meta.dirname, 'app.mjs')

type Fields = Readonly<Record<string, string>>
type Seen = Readonly<Record<string, string | string[] | undefined>>
type Query = Readonly<Record<string, string>>

/** The other side of the application: says what head it got. */
const echo = createServer((request, response) => {
  if (request.url === '/reset') return void request.socket.destroy()
  request.resume()
  response.end(JSON.stringify(request.headers))
})
const echoHttp2 = createHttp2Server((request, response) => void response.end(JSON.stringify(request.headers)))
const echoGrpc = new Server()
const json = {
  serialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  deserialize: (bytes: Buffer) => JSON.parse(bytes.toString()) as unknown,
}
echoGrpc.register(
  '/echo/Echo',
  (call: { metadata: Metadata; getDeadline(): Date | number }, done: (error: null, value: unknown) => void) =>
    done(null, { ...call.metadata.getMap(), deadline: String(Number(call.getDeadline())) }),
  json.serialize,
  json.deserialize,
  'unary',
)

interface Ports {
  readonly http: number
  readonly http2: number
  readonly streams: number
  readonly grpc: number
}

interface App {
  readonly process: ChildProcess
  readonly ports: Ports
  /** One connection of each. */
  readonly callers: Readonly<Record<string, (query: Query, headers: Fields) => Promise<Seen>>>
  stop(): void
}

const echoes: Record<string, string> = {}
let app: App

beforeAll(async () => {
  echo.listen(0, '127.0.0.1')
  echoHttp2.listen(0, '127.0.0.1')
  await Promise.all([once(echo, 'listening'), once(echoHttp2, 'listening')])
  const grpcPort = await new Promise<number>((done, failed) =>
    echoGrpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? done(port) : failed(error),
    ),
  )
  echoes.ECHO = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`
  echoes.ECHO_H2 = `http://127.0.0.1:${(echoHttp2.address() as AddressInfo).port}`
  echoes.ECHO_GRPC = `127.0.0.1:${grpcPort}`
  app = await startApp(['--import', PROPAGATE])
})

afterAll(() => {
  app?.stop()
  echo.close().closeAllConnections()
  echoHttp2.close()
  echoGrpc.forceShutdown()
})

async function startApp(execArgv: readonly string[]): Promise<App> {
  const child = fork(APP, { execArgv: [...execArgv], env: { ...process.env, ...echoes } })
  const [ports] = (await once(child, 'message')) as [Ports]
  const pool = new Pool(`http://127.0.0.1:${ports.http}`, { connections: 1, pipelining: 1 })
  const sessions = [ports.http2, ports.streams].map(port => connect(`http://127.0.0.1:${port}`))
  const grpc = new Client(`127.0.0.1:${ports.grpc}`, credentials.createInsecure())
  return {
    process: child,
    ports,
    callers: {
      http: async (query, headers) => {
        const path = `/?${new URLSearchParams(query)}`
        const { body } = await pool.request({ path, method: 'POST', headers: { ...headers }, body: 'a body' })
        return (await body.json()) as Seen
      },
      http2: (query, headers) => overHttp2(sessions[0]!, query, headers),
      'streams of http2': (query, headers) => overHttp2(sessions[1]!, query, headers),
      grpc: (query, headers) =>
        new Promise((done, failed) => {
          const metadata = new Metadata()
          for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
          grpc.makeUnaryRequest('/app/Ask', json.serialize, json.deserialize, query, metadata, (error, value) =>
            error === null ? done(value as Seen) : failed(error),
          )
        }),
    },
    stop() {
      void pool.destroy()
      for (const session of sessions) session.destroy()
      grpc.close()
      child.kill('SIGKILL')
    },
  }
}

async function overHttp2(session: ClientHttp2Session, query: Query, headers: Fields): Promise<Seen> {
  const stream = session.request({ ':path': `/?${new URLSearchParams(query)}`, ':method': 'POST', ...headers })
  stream.end('a body')
  let text = ''
  for await (const piece of stream.setEncoding('utf8')) text += piece
  return JSON.parse(text) as Seen
}

const trace = (n: number) => `00-${String(n).padStart(32, '0')}-${String(n).padStart(16, 'a')}-01`
const sent = { traceparent: trace(1), tracestate: 'a=1', 'x-request-id': 'the-request', baggage: 'who=me' }

const libraries = [
  'http',
  'http with setHeader',
  'http with a list',
  'http with pairs',
  'http with expect',
  'http in callbacks',
  'fetch',
  'fetch of undici',
  'a pool of undici',
  'http2',
  'http2 in callbacks',
  'grpc',
  'grpc in callbacks',
  'grpc, a new client for each ten',
]
const callers = ['http', 'http2', 'streams of http2', 'grpc']

describe.each(callers)('a request by %s', caller => {
  test.each(libraries)('is carried on by %s', async library => {
    expect(await app.callers[caller]!({ library }, sent)).toMatchObject(sent)
  })
})

describe('the request is not lost', () => {
  test.each(['after a promise', 'after a timer', 'in a timer', 'at the end of the body', 'in a listener'])(
    '%s',
    async way => {
      for (const caller of callers.slice(0, 3))
        for (const library of ['http', 'fetch', 'http2', 'grpc'])
          expect(await app.callers[caller]!({ library, way }, sent)).toMatchObject(sent)
    },
  )
})

test.each(callers)('requests by %s on one connection do not see each other’s', async caller => {
  const all = Array.from({ length: 300 }, async (_, n) => {
    const library = libraries[n % libraries.length]!
    const way = ['at once', 'after a timer', 'in a timer'][n % 3]!
    // Some have no trace, and shall get none.
    const headers: Fields = n % 5 === 0 ? {} : { traceparent: trace(n), 'x-request-id': `request-${n}` }
    const { traceparent, 'x-request-id': id } = await app.callers[caller]!({ library, way }, headers)
    return { n, library, way, traceparent, id }
  })
  const expected = (n: number) =>
    n % 5 === 0 ? { traceparent: undefined, id: undefined } : { traceparent: trace(n), id: `request-${n}` }
  for (const each of await Promise.all(all)) expect(each).toEqual({ ...each, ...expected(each.n) })
})

describe('what the application sets itself stays', () => {
  const own = { traceparent: trace(7), 'x-request-id': 'its-own' }

  test.each(libraries)('by %s', async library => {
    const seen = await app.callers.http!({ library, own: JSON.stringify(own) }, { ...sent, b3: '1-2-1' })
    expect(seen).toMatchObject({ ...own, baggage: 'who=me' })
    // They belong to another trace.
    expect(seen.tracestate).toBeUndefined()
    expect(seen.b3).toBeUndefined()
  })
})

test('B3 in one header and in several is carried too, and the number of the attempt', async () => {
  const b3 = {
    b3: '80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1',
    'x-b3-traceid': '80f198ee56343ba864fe8b2a57d3eff7',
    'x-b3-spanid': 'e457b5a2e4d86bd1',
    'x-b3-parentspanid': '05e3ac9a4f6e3b90',
    'x-b3-sampled': '1',
    'x-b3-flags': '0',
    'x-outrigger-attempt': '2',
  }
  for (const library of libraries) expect(await app.callers.http!({ library }, b3)).toMatchObject(b3)
})

describe('the deadline', () => {
  test('of gRPC goes on to gRPC, less the time that has passed', async () => {
    const before = Date.now()
    const { deadline } = await app.callers.http!({ library: 'grpc', way: 'after a timer' }, { 'grpc-timeout': '30S' })
    expect(Number(deadline)).toBeGreaterThan(before + 20_000)
    expect(Number(deadline)).toBeLessThanOrEqual(Date.now() + 30_000)
  })

  test('goes on as milliseconds by all else', async () => {
    for (const library of ['http', 'fetch', 'a pool of undici', 'http2']) {
      const seen = await app.callers.http!({ library, way: 'in a timer' }, { 'x-outrigger-deadline': '30000' })
      expect(Number(seen['x-outrigger-deadline'])).toBeLessThan(30_000)
      expect(Number(seen['x-outrigger-deadline'])).toBeGreaterThan(0)
    }
  })

  test.each(['soon', '-5', '1e3', '99999999999999'])('that is none (%s) is left out', async value => {
    const seen = await app.callers.http!({ library: 'http' }, { 'x-outrigger-deadline': value, 'grpc-timeout': value })
    expect(seen['x-outrigger-deadline']).toBeUndefined()
  })

  test('that has passed is left out: what goes on is no longer for the caller', async () => {
    const seen = await app.callers.http!({ library: 'http', way: 'in a timer' }, { 'grpc-timeout': '1n' })
    expect(seen['x-outrigger-deadline']).toBeUndefined()
  })
})

test('what a handler throws is the application’s to handle, as without', async () => {
  const told = once(app.process, 'message')
  const answer = app.callers.http!({ throws: '' }, sent).catch(() => null)
  const stop = new AbortController()
  void Promise.race([answer, told]).finally(() => stop.abort())
  expect(await told).toEqual([{ uncaught: 'the application’s own' }, undefined])
}, 20_000)

test('without it nothing is carried', async () => {
  const bare = await startApp([])
  try {
    for (const library of libraries) {
      const seen: IncomingHttpHeaders = { ...(await bare.callers.http!({ library }, sent)) }
      expect([seen.traceparent, seen['x-request-id']]).toEqual([undefined, undefined])
    }
  } finally {
    bare.stop()
  }
})
