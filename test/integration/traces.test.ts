import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { type JaegerSpan, type JaegerTrace, tagOf } from '../../examples/support/jaeger.ts'
import { startAgent } from '../agent/traces/support/agent.ts'
import { startJaeger } from './support/jaeger.ts'
import { freePort } from './support/ports.ts'
import { type Config, get, type RunningProxy, startProxy } from './support/proxy.ts'
import { chatOver1, startChat } from './support/websockets.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

function listen(server: Server): Promise<number> {
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
}

/** An application that passes on what it was told of the trace, and answers as the one behind it does. */
function passingOn(port: number, host: string): Promise<number> {
  return listen(
    createServer(({ headers, url }, response) => {
      const traceparent = headers.traceparent === undefined ? {} : { traceparent: headers.traceparent }
      request({ host: '127.0.0.1', port, path: url, headers: { host, ...traceparent }, agent: false }, answer => {
        response.writeHead(answer.statusCode!)
        answer.pipe(response)
      }).end()
    }),
  )
}

interface Chain {
  readonly proxies: readonly RunningProxy[]
  /** Of the first sidecar. */
  readonly port: number
  /** How often the last application answers with 503 before it does its work. */
  failures: number
}

/** caller -> web's sidecar -> orders' sidecar -> orders -> orders' sidecar -> stock's sidecar -> stock */
async function chain(config: Config): Promise<Chain> {
  const [web, orders, ordersOut, stock] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const state = { failures: 0 }
  const last = await listen(
    createServer((_request, response) => {
      response.statusCode = state.failures-- > 0 ? 503 : 200
      response.end('stock')
    }),
  )
  const middle = await passingOn(ordersOut, 'stock')
  const retries = { retries: { on: ['5xx'], attempts: 2 } }
  const at = (port: number) => `127.0.0.1:${port}`
  const proxies = await Promise.all([
    startProxy({
      service: 'web',
      outbound: [{ listen: at(web), service: 'orders' }],
      discovery: { endpoints: { orders: [at(orders)] } },
      ...config,
    }),
    startProxy({
      service: 'orders',
      inbound: [{ listen: at(orders), forward: at(middle) }],
      outbound: [{ listen: at(ordersOut) }],
      discovery: { endpoints: { stock: [at(stock)] } },
      services: { stock: { ...retries, routes: [{ name: 'items', match: { path: { prefix: '/items' } } }] } },
      ...config,
    }),
    startProxy({ service: 'stock', inbound: [{ listen: at(stock), forward: at(last) }], ...config }),
  ])
  return Object.assign(state, { proxies, port: web })
}

/** `  orders client GET items !`, parents before children, in order of time. */
function tree({ spans, processes }: JaegerTrace): string[] {
  const children = (parent: string | null): JaegerSpan[] =>
    spans
      .filter(({ references }) =>
        parent === null
          ? !spans.some(({ spanID }) => spanID === references[0]?.spanID)
          : references[0]?.spanID === parent,
      )
      .toSorted((a, b) => a.startTime - b.startTime)
  const lines = (parent: string | null, indent: string): string[] =>
    children(parent).flatMap(span => [
      `${indent}${processes[span.processID]!.serviceName} ${tagOf(span.tags, 'span.kind')} ${span.operationName}${tagOf(span.tags, 'error') === true ? ' !' : ''}`,
      ...lines(span.spanID, `${indent}  `),
    ])
  return lines(null, '')
}

const RETRIED = [
  'web internal GET /*',
  '  web client GET /*',
  '    orders server GET /*',
  '      orders internal GET items',
  '        orders client GET items !',
  '          stock server GET /* !',
  '        orders client GET items',
  '          stock server GET /*',
]

describe('a call through three services, with a retry, in a real Jaeger', () => {
  test('exported by the sidecars', async () => {
    await using jaeger = await startJaeger()
    const called = await chain({
      traces: {
        sample: 100,
        export: `http://127.0.0.1:${jaeger.ports.http}`,
        compression: 'gzip',
        batch: { delay: '100ms' },
        attributes: { 'deployment.environment.name': 'test' },
      },
    })
    called.failures = 1
    const { status } = await get(called.port, '/items/7?token=secret')
    expect(status).toBe(200)
    await expect.poll(async () => (await jaeger.traces('web')).map(tree)).toEqual([RETRIED])
    const [trace] = await jaeger.traces('web')
    const spans = trace!.spans
    const named = (service: string, kind: string) =>
      spans
        .filter(span => trace!.processes[span.processID]!.serviceName === service)
        .filter(span => tagOf(span.tags, 'span.kind') === kind)
        .toSorted((a, b) => a.startTime - b.startTime)
    const [first, second] = named('orders', 'client')
    expect(tagOf(first!.tags, 'http.response.status_code')).toBe(503)
    expect(tagOf(first!.tags, 'outrigger.retry')).toBe('yes: 5xx')
    expect(tagOf(second!.tags, 'http.request.resend_count')).toBe(1)
    const [decision] = named('orders', 'internal')
    const decided = {
      'outrigger.service': 'stock',
      'outrigger.service.found_by': 'host',
      'outrigger.route': 'items',
      'outrigger.destination': 'stock',
      'outrigger.attempts': 2,
    }
    for (const [key, value] of Object.entries(decided)) expect(tagOf(decision!.tags, key), key).toBe(value)
    expect(decision!.logs.map(({ fields }) => tagOf(fields, 'event'))).toContain('retry')
    expect(JSON.stringify(trace)).not.toContain('secret')
    for (const process of Object.values(trace!.processes))
      expect(tagOf(process.tags, 'deployment.environment.name')).toBe('test')
    // No child begins before its parent or ends after it, by more than clocks differ.
    for (const span of spans) {
      const parent = spans.find(({ spanID }) => spanID === span.references[0]?.spanID)
      if (parent === undefined) continue
      expect(span.startTime).toBeGreaterThanOrEqual(parent.startTime - 1000)
      expect(span.startTime + span.duration).toBeLessThanOrEqual(parent.startTime + parent.duration + 1000)
    }
    const [flight] = await called.proxies[0]!.flights()
    expect(flight).toMatchObject({ traceId: trace!.traceID, recorded: 'ratio' })
    await expect
      .poll(async () => (await called.proxies[1]!.metrics()).value('outrigger_spans_sent_total'))
      .toBeGreaterThanOrEqual(4)
  })

  test('by way of the agent', async () => {
    await using jaeger = await startJaeger()
    const agent = await startAgent({ traces: `export: "http://127.0.0.1:${jaeger.ports.http}"` })
    const called = await chain({
      agent: `unix:${agent.socket}`,
      traces: { sample: 100, batch: { delay: '100ms' } },
    })
    // Nothing is recorded before the agent is there, and then all of it.
    await expect
      .poll(async () => {
        called.failures = 0
        await get(called.port, '/items/ready')
        return (await jaeger.traces('web')).some(({ spans }) => spans.length === 6)
      })
      .toBe(true)
    called.failures = 1
    expect((await get(called.port, '/items/7')).status).toBe(200)
    await expect.poll(async () => (await jaeger.traces('web', 1000)).map(tree)).toContainEqual(RETRIED)
  })

  test('that is sampled nowhere and fails: what each sidecar kept is one trace', async () => {
    await using jaeger = await startJaeger()
    const called = await chain({
      traces: { sample: 0, export: `http://127.0.0.1:${jaeger.ports.http}`, batch: { delay: '100ms' } },
    })
    expect((await get(called.port, '/items/1')).status).toBe(200)
    called.failures = 9
    expect((await get(called.port, '/items/2')).status).toBe(503)
    const kept = ['orders client', 'orders client', 'orders internal', 'orders server', 'stock server', 'stock server']
    await expect
      .poll(async () =>
        (await jaeger.traces('web')).map(({ spans, processes }) =>
          spans.map(span => `${processes[span.processID]!.serviceName} ${tagOf(span.tags, 'span.kind')}`).toSorted(),
        ),
      )
      .toEqual([[...kept, 'web client', 'web internal']])
  })
})

describe('what is no request and answer, in a real Jaeger', () => {
  test('a WebSocket is one trace through both sidecars; a TCP tunnel is a trace of its own at each', async () => {
    await using jaeger = await startJaeger()
    const chat = await startChat()
    closers.push(chat.stop)
    const echo = createTcpServer(socket => void socket.on('error', () => {}).pipe(socket))
    closers.push(() => void echo.close())
    await new Promise<void>(resolve => echo.listen(0, '127.0.0.1', resolve))
    const [web, webTcp, chatIn, cacheIn] = [await freePort(), await freePort(), await freePort(), await freePort()]
    const at = (port: number) => `127.0.0.1:${port}`
    const traces = { sample: 100, export: `http://127.0.0.1:${jaeger.ports.http}`, batch: { delay: '100ms' } }
    await Promise.all([
      startProxy({
        service: 'web',
        outbound: [
          { listen: at(web), service: 'chat' },
          { listen: at(webTcp), service: 'cache' },
        ],
        discovery: { endpoints: { chat: [at(chatIn)], cache: [at(cacheIn)] } },
        services: { cache: { protocol: 'tcp' } },
        traces,
      }),
      startProxy({ service: 'chat', inbound: [{ listen: at(chatIn), forward: chat.address }], traces }),
      startProxy({
        service: 'cache',
        inbound: [
          {
            listen: at(cacheIn),
            forward: at((echo.address() as AddressInfo).port),
            application: { protocol: 'tcp' },
          },
        ],
        traces,
      }),
    ])
    const socket = await chatOver1(web, '/rooms/7?token=secret')
    socket.send('hello')
    await once(socket, 'message')
    socket.close()
    const tunnel = connect(webTcp, '127.0.0.1')
    tunnel.write('PING')
    await once(tunnel, 'data')
    tunnel.end()

    const traceOf = async (service: string, first: string) =>
      (await jaeger.traces(service)).find(trace => tree(trace)[0] === first)
    const way = ['web internal GET /*', '  web client GET /*', '    chat server GET /*']
    await expect.poll(async () => tree((await traceOf('web', way[0]!)) ?? NO_TRACE)).toEqual(way)
    const upgraded = (await traceOf('web', way[0]!))!
    for (const { tags } of upgraded.spans) {
      expect(tagOf(tags, 'http.response.status_code')).toBe(101)
      expect(tagOf(tags, 'error')).toBeNull()
    }
    expect(JSON.stringify(upgraded)).not.toContain('secret')
    const server = upgraded.spans.find(({ tags }) => tagOf(tags, 'span.kind') === 'server')!
    expect(tagOf(server.tags, 'http.request.body.size')).toBeGreaterThan('hello'.length)

    const out = ['web internal TCP cache', '  web client TCP cache']
    await expect.poll(async () => tree((await traceOf('web', out[0]!)) ?? NO_TRACE)).toEqual(out)
    const { spans } = (await traceOf('web', out[0]!))!
    // Both begin in one turn, and so at one time.
    const [decision, attempt] = ['internal', 'client'].map(kind =>
      spans.find(({ tags }) => tagOf(tags, 'span.kind') === kind),
    )
    expect(tagOf(decision!.tags, 'outrigger.service')).toBe('cache')
    expect(tagOf(attempt!.tags, 'outrigger.endpoint')).toBe(at(cacheIn))
    for (const name of ['http.request.body.size', 'http.response.body.size'])
      expect(tagOf(decision!.tags, name)).toBe(4)
    for (const { tags } of [decision!, attempt!]) {
      expect(tagOf(tags, 'network.transport')).toBe('tcp')
      expect(tagOf(tags, 'http.request.method')).toBeNull()
      expect(tagOf(tags, 'error')).toBeNull()
    }
    await expect.poll(async () => (await jaeger.traces('cache')).map(tree)).toEqual([['cache server TCP']])
  })
})

const NO_TRACE = { traceID: '', spans: [], processes: {} }

describe('bad neighbours', () => {
  test('a collector that takes connections and says nothing: requests go on, spans are bounded, the end comes', async () => {
    const sockets: Socket[] = []
    const hanging = createTcpServer(socket => sockets.push(socket))
    closers.push(() => {
      for (const socket of sockets) socket.destroy()
      hanging.close()
    })
    await new Promise<void>(resolve => hanging.listen(0, '127.0.0.1', resolve))
    const application = await listen(createServer((_request, response) => response.end('ok')))
    const port = await freePort()
    const proxy = await startProxy({
      outbound: [{ listen: `127.0.0.1:${port}`, service: 'orders' }],
      discovery: { endpoints: { orders: [`127.0.0.1:${application}`] } },
      traces: {
        sample: 100,
        export: `http://127.0.0.1:${(hanging.address() as AddressInfo).port}`,
        batch: { delay: '0s', spans: 100, queue: 500 },
      },
    })
    const statuses = new Set<number>()
    for (let round = 0; round < 20; round++)
      for (const { status } of await Promise.all(Array.from({ length: 50 }, () => get(port, '/')))) statuses.add(status)
    expect([...statuses]).toEqual([200])
    await expect
      .poll(async () => (await proxy.metrics()).value('outrigger_spans_dropped_total', { reason: 'full' }))
      .toBeGreaterThan(1000)
    // The queue, and the batch that is being sent.
    expect((await proxy.metrics()).value('outrigger_spans_waiting')).toBeLessThanOrEqual(500 + 100)
    expect(sockets.length).toBeGreaterThan(0)
    proxy.signal('SIGTERM')
    expect(await proxy.ended).toMatchObject({ code: 0 })
  })
})
