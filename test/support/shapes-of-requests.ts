import { Http2Stream } from '../../proxy/codec/h2/stream.ts'
import { failures } from '../../proxy/core/failure.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { Forward } from '../../proxy/forward/forward.ts'
import { Http2Endpoint, reply, type Served } from './http2-endpoint.ts'
import type { Mesh } from './mesh.ts'
import { Mesh as SimulatedMesh } from './mesh.ts'
import { listenerSpec, serviceSpec, snapshotOf, tracesSpec } from './specs.ts'
import { turn } from './turns.ts'
import { ok, respond } from './upstream.ts'

/**
 * Run with --allow-natives-syntax: prints how many shapes the objects of each class have after requests of all kinds.
 */
const haveSameMap = new Function('a', 'b', 'return %HaveSameMap(a, b)') as (a: object, b: object) => boolean

/** Objects by the name of their class; strong, for the process lives a second. */
const seen = new Map<string, Set<object>>()

function see(object: object | null | undefined): void {
  if (object === null || object === undefined) return
  if (object instanceof Http2Stream)
    for (const part of [object.connection, object.connection.flow, object.connection.writer, object.incoming])
      note(part)
  note(object)
}

function note(object: object): void {
  const { name } = object.constructor
  const set = seen.get(name) ?? new Set()
  set.add(object)
  seen.set(name, set)
}

/** Every exchange passes here at its end, with all that served it. */
const complete = Forward.prototype.complete
Forward.prototype.complete = function (this: Forward, failure, detail) {
  const { stream, exchange, answer, attempts, body } = this
  complete.call(this, failure, detail)
  for (const object of [
    this,
    stream,
    exchange,
    answer,
    attempts,
    attempts.loop,
    ...attempts.loop.attempts,
    body,
    exchange.decision,
    exchange.trace,
    ...exchange.decision.tries,
    exchange.endpoint,
  ])
    see(object)
  if (exchange.request.method !== '') see(exchange.request)
}
const head = Forward.prototype.head
Forward.prototype.head = function (this: Forward, request, end) {
  head.call(this, request, end)
  see(this.attempts.upstream)
}
const data = Forward.prototype.data
Forward.prototype.data = function (this: Forward, chunk, end) {
  see(this.attempts.upstream)
  return data.call(this, chunk, end)
}

const A = '10.0.0.1:80'
const B = '10.0.0.2:80'
const chunked = 'Transfer-Encoding: chunked\r\n\r\n'
const many = Array.from({ length: 60 }, (_, i) => `X-${i}: ${i}\r\n`).join('')
const requests = [
  'GET / HTTP/1.1\r\nHost: o\r\n\r\n',
  'HEAD /a?b HTTP/1.1\r\nHost: o\r\nConnection: close, x\r\nX: 1\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
  'GET http://o/ HTTP/1.1\r\nHost: o\r\n\r\n',
  `GET / HTTP/1.1\r\nHost: o\r\n${many}\r\n`,
  'POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 5\r\n\r\nhello',
  `PUT / HTTP/1.1\r\nHost: o\r\n${chunked}5\r\nhello\r\n0\r\nX: 1\r\n\r\n`,
  `PUT / HTTP/1.1\r\nHost: o\r\nExpect: 100-continue\r\n${chunked}0\r\n\r\n`,
  'CONNECT o:1 HTTP/1.1\r\nHost: o\r\n\r\n',
  'GET / HTTP/1.1\r\nHost : o\r\n\r\n',
  `PUT / HTTP/1.1\r\nHost: o\r\n${chunked}zz`,
]
const answers = [
  ok,
  respond('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n'),
  respond('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'),
  respond('HTTP/1.1 103 Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 204 No\r\n\r\n'),
  respond('nonsense'),
  respond(`HTTP/1.0 200 OK\r\n${many}Content-Length: 0\r\n\r\n`),
  respond('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel'),
  (_request: unknown, connection: { reset(): void }) => connection.reset(),
  () => {},
] as const

const C = '10.0.0.3:80'
const http2Answers: readonly ((request: Served) => void)[] = [
  ({ stream }) => reply(stream, 200, [], 'ok'),
  ({ stream }) => reply(stream, 204, []),
  ({ stream }) => reply(stream, 200, ['content-type', 'application/grpc'], 'message', ['grpc-status', '0']),
  ({ stream }) => reply(stream, 200, ['content-length', '300000'], 'x'.repeat(300_000)),
  ({ stream }) => stream.reset(failures.refusedStream, ''),
  ({ stream }) => {
    stream.head({ status: 103, headers: new HeaderList() }, false)
    stream.head({ status: 200, headers: new HeaderList() }, false)
    stream.reset(failures.upstreamTimeout, '')
  },
  () => {},
]

/** HTTP/2 on both sides, and HTTP/1.1 on either one. */
function runHttp2(mesh: Mesh): void {
  const endpoint = new Http2Endpoint(mesh, C)
  mesh.upstream(A).answer = ok
  for (const answer of http2Answers) {
    endpoint.answer = answer
    for (const port of [8000, 8001]) {
      const caller = mesh.http2Caller(port)
      caller.ask()
      caller.ask({
        method: 'POST',
        fields: ['te', 'trailers', 'cookie', 'a=1', 'cookie', 'b=2'],
        body: 'hello',
        trailers: ['x-sum', '1'],
      })
      caller.ask({ method: 'POST', fields: ['content-length', '5'], body: 'hello' })
      const stopped = caller.ask({ method: 'HEAD', path: '/a?b' })
      const slow = caller.ask()
      slow.accept = false
      mesh.advance(0.3)
      stopped.cancel()
      slow.resume()
      mesh.advance(900.7)
      caller.ask()
      mesh.advance(20)
      caller.close()
    }
    const old = mesh.caller(8001)
    old.reader.push = () => {}
    old.send(requests[0]!, 'GET').send(requests[5]!, 'POST')
    mesh.advance(900)
    old.close()
    turn(() => endpoint.open[0]?.connection.drain())
    mesh.advance(20)
  }
}

async function run(): Promise<void> {
  const service = serviceSpec('orders', [A, B], {
    timeouts: { requestMs: 500, perTryMs: 200, idleMs: 300 },
    retries: { on: ['connect-failure', 'reset-before-response', '5xx', 'per-try-timeout'], attempts: 3 },
    balancer: 'least_request',
  })
  const prices = serviceSpec('prices', [C], {
    protocol: 'http2',
    timeouts: { requestMs: 500, perTryMs: 0, idleMs: 300 },
  })
  const listeners = [
    listenerSpec({ service: 'orders' }),
    listenerSpec({ service: 'prices', listen: { address: '127.0.0.1', port: 8001 } }),
  ]
  const mesh: Mesh = await SimulatedMesh.start(
    snapshotOf([service, prices], listeners, { traces: tracesSpec({ isExported: true, samplePercent: 50 }) }),
  )
  // Times with a fraction, as the system's are: so that no field is a small integer here and a double there.
  mesh.advance(0.25)
  for (let round = 0; round < 3; round++) {
    for (const answer of answers) {
      for (const request of requests) {
        mesh.upstream(A).answer = answer
        mesh.upstream(B).answer = round === 2 ? ok : answer
        mesh.upstream(B).connect = round === 1 ? 'refuse' : 'accept'
        const caller = mesh.caller()
        // What the caller's reader makes of it is looked at elsewhere.
        caller.reader.push = () => {}
        caller.send(request, 'GET')
        mesh.advance(0.3)
        caller.send(requests[round]!, 'GET')
        mesh.advance(900.7)
        caller.close()
        mesh.advance(20)
      }
    }
    runHttp2(mesh)
    // The first round is the one in which V8 learns what the fields hold.
    if (round === 0) seen.clear()
  }
}

await run()
const result: Record<string, { objects: number; shapes: number }> = {}
for (const [name, objects] of seen) {
  const kinds: object[] = []
  for (const object of objects) if (!kinds.some(kind => haveSameMap(kind, object))) kinds.push(object)
  result[name] = { objects: objects.size, shapes: kinds.length }
}
process.stdout.write(JSON.stringify(result))
