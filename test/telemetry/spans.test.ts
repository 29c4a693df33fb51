import { describe, expect, test } from 'vitest'
import type { EndpointSpec, Snapshot, TracesSpec } from '../../mesh-config/snapshot.ts'
import { TraceContext } from '../../proxy/core/trace.ts'
import { SpanWriter } from '../../proxy/telemetry/span-writer.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { Mesh } from '../support/mesh.ts'
import { A, B, expectQuiet, warm } from '../support/orders.ts'
import { type ReadSpan, spansOf } from '../support/otlp.ts'
import {
  endpointSpec,
  type ListenerOverrides,
  listenerSpec,
  routeSpec,
  type ServiceOverrides,
  serviceSpec,
  snapshotOf,
  tracesSpec,
} from '../support/specs.ts'
import { upgradeRequest } from '../support/tunnels.ts'
import { ok, respond } from '../support/upstream.ts'

const T = '12345678901234567890123456789012'
const P = '1234567890123456'
const sampled = `traceparent: 00-${T}-${P}-01\r\n`
const unsampled = `traceparent: 00-${T}-${P}-00\r\n`

interface Options {
  readonly traces?: Partial<TracesSpec>
  readonly service?: ServiceOverrides
  readonly listener?: ListenerOverrides
  readonly snapshot?: Partial<Snapshot>
  readonly endpoints?: readonly (string | EndpointSpec)[]
}

async function traced({ traces, service, listener, snapshot, endpoints = [A] }: Options = {}) {
  const spec = tracesSpec({ isExported: true, samplePercent: 0, ...traces })
  const mesh = await Mesh.start(
    snapshotOf([serviceSpec('orders', endpoints, service)], [listenerSpec({ service: 'orders', ...listener })], {
      traces: spec,
      ...snapshot,
    }),
  )
  const spans = () => {
    mesh.advance(300)
    return spansOf(mesh.messages)
  }
  return { mesh, upstream: mesh.upstream(A), spans }
}

/** Parents before children. */
function tree(spans: readonly ReadSpan[]): string[] {
  const depth = (span: ReadSpan): number => {
    const parent = spans.find(({ spanId }) => spanId === span.parentId)
    return parent === undefined ? 0 : depth(parent) + 1
  }
  return spans.map(span => `${'  '.repeat(depth(span))}${span.kind} ${span.name}${span.isError ? ' !' : ''}`)
}

const parentOf = (head: { header(name: string): string | undefined }) => head.header('traceparent')

describe('a sampled request', () => {
  test('is an INTERNAL span with the decision, and a CLIENT span for its attempt, which the endpoint is told', async () => {
    const { mesh, upstream, spans } = await traced()
    mesh.caller().get('/a?token=secret', `${sampled}tracestate: a=1\r\nUser-Agent: curl\r\n`)
    mesh.settle()
    const [internal, client, ...others] = spans()
    expect(others).toEqual([])
    expect(internal).toMatchObject({
      traceId: T,
      parentId: P,
      kind: 'internal',
      name: 'GET /*',
      state: 'a=1',
      isError: false,
      // Sampled, and its parent is known to be another process's.
      flags: 0x301,
      attributes: {
        'http.request.method': 'GET',
        'http.response.status_code': 200,
        'http.route': '/*',
        'url.path': '/a',
        'url.scheme': 'http',
        'server.address': 'orders',
        'network.protocol.version': '1.1',
        'outrigger.service': 'orders',
        'outrigger.service.found_by': 'port',
        'outrigger.destination': 'orders',
        'outrigger.attempts': 1,
        'outrigger.recorded': 'caller',
        'outrigger.listener': 'outbound 127.0.0.1:8000',
        'outrigger.request_id': mesh.flight.requestId,
        'http.response.body.size': 2,
      },
    })
    expect(client).toMatchObject({
      traceId: T,
      parentId: internal!.spanId,
      kind: 'client',
      state: 'a=1',
      flags: 0x101,
      attributes: {
        'server.address': '10.0.0.1',
        'server.port': 80,
        'network.peer.address': '10.0.0.1',
        'url.full': 'http://orders/a',
        'outrigger.endpoint': A,
        'outrigger.balancer.policy': 'round_robin',
        'peer.service': 'orders',
        'http.response.status_code': 200,
      },
    })
    expect(client!.attributes).not.toHaveProperty('http.request.resend_count')
    const [request] = upstream.requests
    expect(parentOf(request!)).toBe(`00-${T}-${client!.spanId}-01`)
    expect(request!.header('tracestate')).toBe('a=1')
    expect(client!.spanId).not.toBe(internal!.spanId)
    expect(JSON.stringify(spans())).not.toContain('secret')
    expect(mesh.flight).toMatchObject({ traceId: T, recorded: 'caller' })
    expectQuiet(mesh)
  })

  test('takes its times from the record', async () => {
    const { mesh, upstream, spans } = await traced()
    const began = mesh.clock.wallTime()
    upstream.connectMs = 20
    upstream.answer = (_request, connection) => {
      mesh.loop.after(30, () => connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no'))
      mesh.loop.after(50, () => connection.send('k'))
    }
    mesh.caller().get('/', sampled)
    mesh.advance(100)
    const [internal, client] = spans()
    const round = ({ start, end }: ReadSpan) => [Math.round(start - began), Math.round(end - began)]
    expect(round(internal!)).toEqual([0, 70])
    expect(round(client!)).toEqual([0, 70])
    const head = { name: 'response head', time: expect.closeTo(began + 50, 0) }
    expect(internal!.events).toMatchObject([head])
    expect(client!.events).toMatchObject([head])
  })

  test('each attempt is a CLIENT span, and each endpoint has another parent', async () => {
    const { mesh, spans } = await traced({
      endpoints: [A, B],
      service: { retries: { on: ['5xx'], attempts: 2 } },
    })
    const asked: { endpoint: string; parent: string | undefined }[] = []
    for (const endpoint of [A, B])
      mesh.upstream(endpoint).answer = (request, connection) => {
        asked.push({ endpoint, parent: parentOf(request) })
        if (asked.length > 1) ok(request, connection)
        else connection.send('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')
      }
    mesh.caller().get('/', sampled)
    mesh.settle()
    const all = spans()
    expect(tree(all)).toEqual(['internal GET /*', '  client GET /* !', '  client GET /*'])
    const [internal, first, second] = all
    expect(new Set(all.map(({ spanId }) => spanId)).size).toBe(3)
    expect(asked.map(({ parent }) => parent)).toEqual([first, second].map(span => `00-${T}-${span!.spanId}-01`))
    expect(first!.attributes).toMatchObject({ 'error.type': '503', 'outrigger.retry': 'yes: 5xx' })
    expect(second!.attributes).toMatchObject({ 'http.request.resend_count': 1 })
    expect(internal!.events).toMatchObject([
      { name: 'retry', attributes: { 'outrigger.endpoint': asked[0]!.endpoint, 'outrigger.reason': '5xx' } },
    ])
    expect(internal!.attributes['outrigger.attempts']).toBe(2)
    expectQuiet(mesh)
  })

  test('a fresh connection after a stale one is a CLIENT span as well', async () => {
    const { mesh, upstream, spans } = await traced({ traces: { failed: false } })
    warm(mesh)
    let isFirst = true
    upstream.onHead = (_request, connection) => {
      if (isFirst) connection.close()
      isFirst = false
    }
    upstream.answer = (request, connection) => {
      if (!connection.wire.destroyed) ok(request, connection)
    }
    mesh.caller().get('/', sampled)
    mesh.advance(10)
    const all = spans()
    expect(tree(all)).toEqual(['internal GET /*', '  client GET /* !', '  client GET /*'])
    const parents = upstream.requests.slice(1).map(parentOf)
    expect(parents).toEqual(all.slice(1).map(({ spanId }) => `00-${T}-${spanId}-01`))
    expect(all[1]!.attributes['outrigger.retry']).toMatch(/fresh/)
  })

  test('behind an inbound listener is one SERVER span, the parent of the application', async () => {
    const { mesh, upstream, spans } = await traced({ listener: { direction: 'inbound' } })
    upstream.answer = respond('HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n')
    mesh.caller().get('/a/b', `${sampled}User-Agent: caf\xe9 ${'x'.repeat(300)}\r\n`)
    mesh.settle()
    const [server, ...others] = spans()
    expect(others).toEqual([])
    expect(server).toMatchObject({ kind: 'server', name: 'GET /*', parentId: P, isError: false })
    expect(server!.attributes).toMatchObject({
      'http.response.status_code': 404,
      'url.path': '/a/b',
      'client.address': '127.0.0.1',
      'user_agent.original': `café ${'x'.repeat(251)}`,
    })
    expect(parentOf(upstream.requests[0]!)).toBe(`00-${T}-${server!.spanId}-01`)
  })

  test('what spans have in common is never taken for what they have not', async () => {
    const v1 = { service: 'orders', subset: 'v1', weight: 1 }
    const v2 = { service: 'orders', subset: 'v2', weight: 1 }
    const { mesh, spans } = await traced({
      endpoints: [
        endpointSpec(A, { metadata: { version: 'v1' }, zone: 'a' }),
        endpointSpec(B, { metadata: { version: 'v2' }, zone: 'b' }),
      ],
      service: {
        subsets: { v1: { version: 'v1' }, v2: { version: 'v2' } },
        routes: [routeSpec({ service: 'orders', to: [v1, v2] })],
      },
    })
    const asked = []
    for (let i = 0; i < 24; i++) {
      const [method, host] = [i % 8 === 0 ? 'DELETE' : 'GET', i % 8 < 6 ? 'orders' : 'orders:80']
      mesh.caller().send(`${method} /${i} HTTP/1.1\r\nHost: ${host}\r\n${sampled}\r\n`)
      mesh.settle()
      const { destination, attempts } = mesh.flight
      asked.push([method, host === 'orders' ? undefined : 80, destination, attempts[0]!.endpoint, `/${i}`])
    }
    const all = spans()
    const seen = all.flatMap(({ kind, attributes }, i) =>
      kind !== 'internal'
        ? []
        : [
            [
              attributes['http.request.method'],
              attributes['server.port'],
              attributes['outrigger.destination'],
              all[i + 1]!.attributes['outrigger.endpoint'],
              attributes['url.path'],
            ],
          ],
    )
    expect(seen).toEqual(asked)
    expect(new Set(asked.map(([, , destination]) => destination)).size).toBe(2)
    for (const { kind, attributes } of all) {
      if (kind !== 'client') continue
      const isFirst = attributes['outrigger.endpoint'] === A
      expect(attributes).toMatchObject({
        'server.address': isFirst ? '10.0.0.1' : '10.0.0.2',
        'outrigger.endpoint.zone': isFirst ? 'a' : 'b',
      })
    }
    expect(all.filter(({ kind }) => kind === 'client').map(span => span.attributes['http.request.method'])).toEqual(
      asked.map(([method]) => method),
    )
  })

  test('a method that nobody knows names nothing', async () => {
    const { mesh, spans } = await traced()
    mesh.caller().send(`BREW / HTTP/1.1\r\nHost: orders\r\n${sampled}\r\n`)
    mesh.settle()
    const [internal] = spans()
    expect(internal!.name).toBe('HTTP /*')
    expect(internal!.attributes).toMatchObject({
      'http.request.method': '_OTHER',
      'http.request.method_original': 'BREW',
    })
  })

  test('B3 that came is told to the endpoint with W3C', async () => {
    const { mesh, upstream, spans } = await traced()
    mesh.caller().get('/', `b3: ${T}-${P}-1\r\n`)
    mesh.settle()
    const [, client] = spans()
    const [request] = upstream.requests
    expect(request!.header('b3')).toBe(`${T}-${client!.spanId}-1`)
    expect(parentOf(request!)).toBe(`00-${T}-${client!.spanId}-01`)
  })

  test('where the caller says nothing: by the ratio', async () => {
    const { mesh, upstream, spans } = await traced({ traces: { samplePercent: 100 } })
    mesh.caller().get()
    mesh.settle()
    const [internal, client] = spans()
    expect(internal).toMatchObject({ parentId: '', flags: 3, attributes: { 'outrigger.recorded': 'ratio' } })
    expect(parentOf(upstream.requests[0]!)).toBe(`00-${internal!.traceId}-${client!.spanId}-03`)
  })
})

describe('a request that is not sampled', () => {
  test('passes as it is, and makes no span', async () => {
    const { mesh, upstream, spans } = await traced()
    mesh.caller().get('/', unsampled)
    mesh.settle()
    expect(parentOf(upstream.requests[0]!)).toBe(`00-${T}-${P}-00`)
    expect(spans()).toEqual([])
    expect(mesh.flight).toMatchObject({ traceId: T, recorded: '' })
  })

  test('is recorded all the same where it failed, in the trace of its caller', async () => {
    const { mesh, upstream, spans } = await traced({ service: { retries: { on: [] } } })
    upstream.connect = 'refuse'
    mesh.caller().get('/', unsampled)
    mesh.settle()
    const all = spans()
    expect(tree(all)).toEqual(['internal GET /* !', '  client GET /* !'])
    expect(all.map(({ traceId }) => traceId)).toEqual([T, T])
    expect(all[0]).toMatchObject({
      parentId: P,
      message: 'the endpoint refused the connection: ECONNREFUSED',
      attributes: {
        'outrigger.recorded': 'failed',
        'outrigger.response_flag': 'UF',
        'error.type': 'connect-refused',
        'http.response.status_code': 503,
      },
    })
    const body = JSON.parse(mesh.callers[0]!.last.text) as { traceId: string }
    expect(body.traceId).toBe(T)
  })

  test('nor where nobody wants failed ones', async () => {
    const { mesh, upstream, spans } = await traced({ traces: { failed: false } })
    upstream.connect = 'refuse'
    mesh.caller().get('/', unsampled)
    mesh.advance(1000)
    expect(mesh.callers[0]!.statuses).toEqual([503])
    expect(spans()).toEqual([])
  })

  test.each([true, false])('is recorded where it is slower than its route, if that is wanted: %s', async slow => {
    const { mesh, upstream, spans } = await traced({ traces: { slow } })
    let takesMs = 2
    upstream.answer = (request, connection) => mesh.loop.after(takesMs, () => ok(request, connection))
    const caller = mesh.caller()
    for (let i = 0; i < 300; i++) {
      caller.get('/', unsampled)
      mesh.advance(3)
    }
    expect(spans()).toEqual([])
    takesMs = 40
    caller.get('/', unsampled)
    mesh.advance(50)
    const all = spans()
    expect(all.map(({ attributes }) => attributes['outrigger.recorded'])).toEqual(slow ? ['slow', undefined] : [])
    expect(caller.statuses).toHaveLength(301)
  })

  test('what became slower for good is not slow for long', async () => {
    const { mesh, upstream, spans } = await traced()
    let takesMs = 2
    upstream.answer = (request, connection) => mesh.loop.after(takesMs, () => ok(request, connection))
    const caller = mesh.caller()
    const ask = (count: number) => {
      for (let i = 0; i < count; i++) {
        caller.get('/', unsampled)
        mesh.advance(takesMs + 1)
      }
      return spans().length
    }
    ask(300)
    takesMs = 10
    const before = ask(2048)
    expect(before).toBeGreaterThan(1000)
    expect(ask(1000)).toBe(before)
  })

  test('one that the codec refused is a failure without a way', async () => {
    const { mesh, spans } = await traced()
    mesh.caller().send('GET / HTTP/1.1\r\nHost : orders\r\n\r\n')
    mesh.settle()
    expect(spans()).toMatchObject([{ kind: 'internal', name: 'HTTP', parentId: '', isError: false }])
  })

  test('a caller that goes away is recorded, and is no error', async () => {
    const { mesh, upstream, spans } = await traced()
    upstream.answer = () => {}
    const caller = mesh.caller().get()
    mesh.advance(10)
    caller.close()
    mesh.settle()
    const all = spans()
    expect(tree(all)).toEqual(['internal GET /*', '  client GET /*'])
    expect(all.map(({ attributes }) => attributes['outrigger.response_flag'])).toEqual(['DC', 'DC'])
  })

  test('the limit it met is an event', async () => {
    const { mesh, upstream, spans } = await traced({ service: { limits: { requests: 1 } } })
    upstream.answer = () => {}
    mesh.caller().get()
    mesh.settle()
    mesh.caller().get()
    mesh.settle()
    const [internal] = spans()
    expect(internal!.events).toMatchObject([{ name: 'limit', attributes: { 'outrigger.reason': '`limits.requests`' } }])
    expect(internal!.isError).toBe(true)
  })

  test('an endpoint that was ejected meanwhile is an event', async () => {
    const { mesh, upstream, spans } = await traced({
      endpoints: [A, B],
      service: {
        outliers: { consecutiveGatewayFailures: 1, baseEjectionMs: 1000, maxEjectionMs: 1000, maxEjectedPercent: 100 },
        retries: { on: [] },
      },
    })
    mesh.upstream(B).answer = upstream.answer = respond('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')
    mesh.caller().get()
    mesh.settle()
    const [internal] = spans()
    expect(internal!.events).toMatchObject([
      {
        name: 'endpoint ejected',
        attributes: {
          'outrigger.endpoint': mesh.flight.attempts[0]!.endpoint,
          'outrigger.reason': '1 consecutive failures, last: status 503',
        },
      },
    ])
  })
})

describe('what is not plain HTTP', () => {
  const call = (path: string, traceparent = `00-${T}-${P}-01`) => ({
    method: 'POST',
    path,
    fields: ['content-type', 'application/grpc', 'te', 'trailers', 'traceparent', traceparent],
    body: 'message',
  })

  test.each([
    [0, false],
    [5, true],
    [14, true],
  ])('a gRPC call with status %i', async (status, isError) => {
    const { mesh, spans } = await traced({ service: { protocol: 'grpc' } })
    const endpoint = new Http2Endpoint(mesh, A)
    let told: string | undefined
    endpoint.answer = ({ stream, fields }) => {
      told = fields.get('traceparent')
      reply(stream, 200, ['content-type', 'application/grpc'], 'message', ['grpc-status', `${status}`])
    }
    mesh.http2Caller().ask(call('/shop.Orders/Get'))
    mesh.settle()
    const [internal, client] = spans()
    expect(told).toBe(`00-${T}-${client!.spanId}-01`)
    expect(internal).toMatchObject({ name: 'shop.Orders/Get', isError: status === 14 })
    expect(client).toMatchObject({ name: 'shop.Orders/Get', isError })
    expect(client!.attributes).toMatchObject({
      'rpc.system': 'grpc',
      'rpc.service': 'shop.Orders',
      'rpc.method': 'Get',
      'rpc.grpc.status_code': status,
      'network.protocol.version': '2',
    })
  })

  test('a method that the server does not know names nothing', async () => {
    const { mesh, spans } = await traced({ service: { protocol: 'grpc' } })
    new Http2Endpoint(mesh, A).answer = ({ stream }) =>
      reply(stream, 200, ['content-type', 'application/grpc', 'grpc-status', '12'])
    mesh.http2Caller().ask(call('/made/up-123'))
    mesh.settle()
    expect(spans().map(({ name }) => name)).toEqual(['POST /*', 'POST /*'])
  })

  test('a WebSocket: its endpoint is told, and its end makes the span', async () => {
    const { mesh, upstream, spans } = await traced({ service: { upgrades: ['websocket'] } })
    upstream.answer = respond('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    const caller = mesh.caller().send(upgradeRequest('websocket', sampled))
    mesh.advance(5000)
    expect(spans()).toEqual([])
    caller.close()
    mesh.settle()
    const [internal, client] = spans()
    expect(parentOf(upstream.requests[0]!)).toBe(`00-${T}-${client!.spanId}-01`)
    expect(internal!.attributes['http.response.status_code']).toBe(101)
    expect(internal!.end - internal!.start).toBeGreaterThan(5000)
  })

  test('a TCP tunnel: spans without propagation', async () => {
    const { mesh, spans } = await traced({
      traces: { samplePercent: 100 },
      service: { protocol: 'tcp', retries: { attempts: 2 } },
      listener: { protocol: 'tcp' },
      endpoints: [A, B],
    })
    mesh.upstream(A).connect = 'refuse'
    const ends = mesh.plainUpstream(B)
    // Round robin: one of two begins with the endpoint that refuses.
    for (let i = 0; i < 2; i++) {
      const caller = mesh.plainCaller()
      caller.send('hello')
      mesh.advance(100)
      ends[i]!.send('hi')
      mesh.settle()
      caller.wire.end()
      ends[i]!.wire.end()
      mesh.advance(100)
    }
    const whole = spans()
    const { traceId } = whole.find(({ isError }) => isError)!
    const all = whole.filter(span => span.traceId === traceId)
    expect(new Set(whole.map(span => span.traceId)).size).toBe(2)
    expect(tree(all)).toEqual(['internal TCP orders', '  client TCP orders !', '  client TCP orders'])
    expect(all[0]!.attributes).toMatchObject({
      'network.transport': 'tcp',
      'http.request.body.size': 5,
      'http.response.body.size': 2,
      'outrigger.recorded': 'ratio',
    })
    expect(mesh.flight.recorded).toBe('ratio')
  })
})

describe('bounds', () => {
  test('what callers and endpoints write is cut, and stays valid', async () => {
    const { mesh, spans } = await traced({ listener: { direction: 'inbound' } })
    mesh.caller().get(`/${'x'.repeat(2000)}`, `${sampled}x-request-id: ${'i'.repeat(5000)}\r\n`)
    mesh.settle()
    const [server] = spans()
    expect(server!.attributes['url.path']).toBe(`/${'x'.repeat(255)}`)
    expect(server!.attributes['outrigger.request_id']).toBe('i'.repeat(256))
  })

  test('a span that would be too large leaves out attributes and counts them', () => {
    const memory = new ArrayBuffer(64 * 1024)
    const span = new SpanWriter(memory)
    const trace = new TraceContext()
    trace.traceId = T
    span.begin(trace, 1, 2, 0, 0, false, 1)
    span.what('n'.repeat(500), 1, 1, 2)
    const name = Uint8Array.from([0x0a, 1, 97])
    for (let i = 0; i < 40; i++) span.text(name, '\u20ac'.repeat(256))
    span.texts(
      name,
      Array.from({ length: 30 }, () => '\u20ac'.repeat(256)),
    )
    span.event('e', 1)
    span.text(name, 'x')
    span.endEvent()
    span.error('m'.repeat(500))
    expect(span.end()).toBeLessThanOrEqual(16 * 1024)
    const [read] = spansOf([{ kind: 'spans', bytes: new Uint8Array(memory, 0, span.at), count: 1 }])
    expect(read!.droppedAttributes).toBeGreaterThan(10)
    expect(read).toMatchObject({ name: 'n'.repeat(256), isError: true })
  })

  test('a flood of spans holds 1 MiB, is counted, and hurts no request', async () => {
    const { mesh, spans } = await traced({ traces: { samplePercent: 100 } })
    const caller = mesh.caller()
    for (let i = 0; i < 2000; i++) {
      caller.get(`/${'x'.repeat(250)}`)
      mesh.settle()
    }
    expect(caller.statuses.filter(status => status === 200)).toHaveLength(2000)
    spans()
    const bytes = () =>
      mesh.messages.reduce((sum, message) => (message.kind === 'spans' ? sum + message.bytes.length : sum), 0)
    expect(bytes()).toBeLessThanOrEqual(1024 * 1024)
    const recorded = mesh.stat('outrigger_spans_recorded_total')
    expect(recorded + mesh.stat('outrigger_spans_overflow_total')).toBe(4000)
    expect(recorded).toBeGreaterThan(1000)
    mesh.thread.receive({ kind: 'span-credit', bytes: bytes() })
    caller.get()
    mesh.settle()
    spans()
    expect(mesh.stat('outrigger_spans_recorded_total')).toBe(recorded + 2)
  })
})

describe('an agent', () => {
  test('that is there begins it, and that has gone ends it', async () => {
    const { mesh, upstream, spans } = await traced({ traces: { isExported: false, samplePercent: 100 } })
    const caller = mesh.caller()
    const ask = () => {
      caller.get()
      mesh.settle()
      return parentOf(upstream.requests.at(-1)!)
    }
    expect(ask()).toBeUndefined()
    mesh.thread.receive({ kind: 'span-agent', isThere: true })
    expect(ask()).toMatch(/-03$/)
    expect(spans()).toHaveLength(2)
    mesh.thread.receive({ kind: 'span-agent', isThere: false })
    expect(ask()).toBeUndefined()
    expect(spans()).toHaveLength(2)
  })
})
