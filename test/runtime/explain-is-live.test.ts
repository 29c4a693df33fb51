import fc from 'fast-check'
import { beforeEach, expect, test, vi } from 'vitest'
import type { Snapshot } from '../../mesh-config/snapshot.ts'
import type { ExplainAnswer, FlightView, Unknown } from '../../proxy/core/channel.ts'
import { failures } from '../../proxy/core/failure.ts'
import type { Filter, Verdict } from '../../proxy/core/filter.ts'
import { clientHello } from '../support/client-hello.ts'
import { Http2Endpoint } from '../support/http2-endpoint.ts'
import { Mesh, nextMicrotasks } from '../support/mesh.ts'
import {
  endpointSpec,
  listenerSpec,
  matchSpec,
  routeSpec,
  serviceSpec,
  snapshotOf,
  tracesSpec,
} from '../support/specs.ts'
import '../support/seed.ts'

/**
 * For random configurations and requests, the record that /explain gives is the record the request gets: two meshes
 * with the same configuration and the same random numbers, one is asked, the other serves.
 */

const state = vi.hoisted(() => ({ filters: [] as Filter[], effects: 0 }))
type RouteFilters = typeof import('../../proxy/filter/route-filters.ts')
vi.mock('../../proxy/filter/route-filters.ts', async original => {
  const { routeFilters } = await original<RouteFilters>()
  return { routeFilters: (...of: Parameters<typeof routeFilters>) => [...state.filters, ...routeFilters(...of)] }
})
beforeEach(() => {
  state.filters = []
})

const NAMES = ['orders', 'cart', 'mail'] as const
const HOSTS = [...NAMES, 'www.example.com', 'nobody', 'mail:80', 'db.example.com:5432', 'orders:80'] as const
const ENDPOINTS = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80', '10.0.0.4:80'] as const

const filters: Readonly<Record<string, Filter>> = {
  note: {
    name: 'note',
    onRequest({ decision, request }) {
      decision.note('note', `saw ${request.method}`)
      return undefined
    },
  },
  refuse: { name: 'refuse', onRequest: () => ({ failure: failures.tunnelRefused, detail: 'not today' }) },
  reply: {
    name: 'reply',
    onRequest: () => ({ status: 429, headers: ['retry-after', '1'], body: Buffer.from('slow'), failure: null }),
  },
  later: {
    name: 'later',
    onRequest: () => ({ verdict: async () => undefined, timeoutMs: 100, late: undefined }),
  },
  laterRefusal: {
    name: 'laterRefusal',
    onRequest: () => ({
      verdict: async (): Promise<Verdict> => ({ failure: failures.tunnelRefused, detail: 'asked' }),
      timeoutMs: 100,
      late: undefined,
    }),
  },
  effect: {
    name: 'effect',
    onRequest({ decision }) {
      state.effects++
      decision.note('effect', 'a permit is there')
      return undefined
    },
    preview({ decision }) {
      decision.note('effect', 'a permit is there')
      return undefined
    },
  },
}

const header = fc.constantFrom(
  ['content-type', 'application/grpc'],
  ['content-type', 'application/grpc-web'],
  ['content-type', 'application/grpc-web-text+proto'],
  ['grpc-timeout', '2500m'],
  ['grpc-timeout', '7n'],
  ['grpc-timeout', 'soon'],
  ['grpc-timeout', '1H'],
  ['x-tester', '1'],
  ['traceparent', `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`],
  ['traceparent', `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`],
  ['traceparent', 'odd'],
  ['b3', `${'1'.repeat(32)}-${'2'.repeat(16)}`],
  ['x-user', '7'],
  ['x-forwarded-for', Array.from({ length: 70 }, () => '10.1.1.1').join(', ')],
) as fc.Arbitrary<[string, string]>

/** Of gRPC: what a service asks of one is seldom met by chance. */
const call: fc.Arbitrary<[string, string][]> = fc.constantFrom('2500m', '7n', '0m', '1H', 'soon').map(timeout => [
  ['content-type', 'application/grpc'],
  ['grpc-timeout', timeout],
])

const request = fc.record({
  kind: fc.constantFrom('http/1.1', 'http/1.1', 'h2', 'h2', 'tcp') as fc.Arbitrary<'http/1.1' | 'h2' | 'tcp'>,
  port: fc.constantFrom(8000, 8000, 8001, 8002),
  method: fc.constantFrom('GET', 'POST', 'PUT', 'CONNECT'),
  host: fc.constantFrom(...HOSTS),
  path: fc.constantFrom('/', '/a', '/a/b', '/exact', '/exact?q=1'),
  headers: fc.oneof(fc.uniqueArray(header, { maxLength: 3, selector: ([name]) => name }), call),
  upgrade: fc.constantFrom('', '', '', 'irc', 'websocket', 'irc, websocket'),
  registry: fc.constantFrom('absent', 'unreachable') as fc.Arbitrary<'absent' | 'unreachable'>,
})
type Asked = typeof request extends fc.Arbitrary<infer Value> ? Value : never

const route = fc.record({
  kind: fc.constantFrom('prefix', 'exact') as fc.Arbitrary<'prefix' | 'exact'>,
  path: fc.constantFrom('/', '/a', '/exact'),
  methods: fc.constantFrom([], [], ['GET'], ['POST']),
  headers: fc.constantFrom([], [], ['x-tester']),
  to: fc.array(
    fc.record({
      service: fc.constantFrom(...NAMES, 'gone'),
      subset: fc.constantFrom(null, null, 'v1', 'v2'),
      weight: fc.integer({ min: 1, max: 9 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
})

const service = fc.record({
  protocol: fc.constantFrom(null, null, 'http2', 'grpc', 'grpc', 'grpc', 'tcp') as fc.Arbitrary<
    null | 'http2' | 'grpc' | 'tcp'
  >,
  balancer: fc.constantFrom('round_robin', 'random', 'least_request', 'peak_ewma') as fc.Arbitrary<
    'round_robin' | 'random' | 'least_request' | 'peak_ewma'
  >,
  endpoints: fc.uniqueArray(fc.constantFrom(...ENDPOINTS), { maxLength: 4 }),
  upgrades: fc.constantFrom([], ['websocket'], ['irc']),
  requests: fc.constantFrom(0, 1, 10_000, 10_000, 10_000),
  grpcTimeout: fc.constantFrom('enforce', 'enforce', 'pass') as fc.Arbitrary<'enforce' | 'pass'>,
  grpcTimeoutMaxMs: fc.constantFrom(0, 0, 1000),
  grpcTimeoutOffsetMs: fc.constantFrom(0, 5000),
  routes: fc.array(route, { maxLength: 2 }),
  catchAll: fc.constantFrom(true, true, false),
})

const config = fc.record({
  services: fc.tuple(service, service, service),
  onDemandMs: fc.constantFrom(0, 2000),
  protocol: fc.constantFrom('http', 'detect') as fc.Arbitrary<'http' | 'detect'>,
  connect: fc.constantFrom(
    null,
    { services: true, hosts: [] },
    { services: false, hosts: [] },
    { services: false, hosts: ['orders:80'] },
  ),
  filters: fc.oneof(
    fc.constant([] as string[]),
    fc.uniqueArray(fc.constantFrom(...Object.keys(filters)), { maxLength: 2 }),
  ),
})
type Config = typeof config extends fc.Arbitrary<infer Value> ? Value : never

function snapshotFor({ services, onDemandMs, protocol, connect }: Config): Snapshot {
  const specs = services.map((each, i) => {
    const name = NAMES[i]!
    const routes = each.routes.map(({ kind, path, methods, headers, to }) =>
      routeSpec({
        name: `${path}*`,
        match: matchSpec({
          path: { kind, value: path },
          methods,
          headers: headers.map(header => ({ name: header, kind: 'present' as const, value: '' })),
        }),
        to,
      }),
    )
    return serviceSpec(
      name,
      // Addresses apart, so that what an endpoint speaks is that of its service.
      each.endpoints.map((address, at) =>
        endpointSpec(address.replace('10.0.0', `10.0.${i}`), { metadata: { version: at % 2 === 0 ? 'v1' : 'v2' } }),
      ),
      {
        protocol: each.protocol,
        balancer: each.balancer,
        hosts: i === 0 ? ['www.example.com'] : [],
        upgrades: each.upgrades,
        limits: { requests: each.requests },
        timeouts: {
          grpcTimeout: each.grpcTimeout,
          grpcTimeoutMaxMs: each.grpcTimeoutMaxMs,
          grpcTimeoutOffsetMs: each.grpcTimeoutOffsetMs,
        },
        subsets: { v1: { version: 'v1' }, v2: { version: 'v2' } },
        routes: each.catchAll ? [...routes, routeSpec({ service: name })] : routes,
      },
    )
  })
  if (connect !== null && connect.hosts.length > 0)
    specs.push(serviceSpec('connect:orders:80', ['10.0.9.9:80'], { protocol: 'tcp' }))
  const at = (port: number) => ({ address: '127.0.0.1', port })
  return snapshotOf(
    specs,
    [
      listenerSpec({ listen: at(8000), protocol, connect }),
      listenerSpec({ listen: at(8001), service: 'cart', protocol }),
      listenerSpec({ listen: at(8002), service: 'mail', protocol: services[2].protocol === 'tcp' ? 'tcp' : 'http' }),
    ],
    { onDemandMs, traces: tracesSpec({ isExported: true, samplePercent: 50 }) },
  )
}

async function meshOf(snapshot: Snapshot): Promise<Mesh> {
  const mesh = await Mesh.start(snapshot, { seed: 7 })
  for (const { protocol, endpoints } of Object.values(snapshot.services))
    for (const { address, port } of endpoints)
      if (protocol === 'http2' || protocol === 'grpc') new Http2Endpoint(mesh, `${address}:${port}`)
  mesh.advance(1234.5678)
  return mesh
}

/** Answers as the registry would, and waits until nothing waits any more. */
async function settle(mesh: Mesh, { registry }: Asked): Promise<void> {
  for (let i = 0; i < 4; i++) {
    mesh.settle()
    const wanted = mesh.messages.flatMap(message => (message.kind === 'want' ? [message.service] : []))
    const why: Unknown =
      registry === 'absent'
        ? { certain: true, reason: 'the registry knows none' }
        : { certain: false, reason: 'the registry is away' }
    for (const service of wanted) mesh.thread.receive({ kind: 'unknown-service', service, why })
    await nextMicrotasks()
  }
  mesh.settle()
}

async function explained(mesh: Mesh, asked: Asked, protocol: string): Promise<ExplainAnswer> {
  const { method, host, path, headers, port, upgrade, kind } = asked
  const isTunnel = kind === 'tcp'
  const question = {
    what: 'explain',
    method,
    url: isTunnel
      ? `tls://${host.replace(/:\d+$/, '')}`
      : method === 'CONNECT'
        ? `http://${host}`
        : `http://${host}${path}`,
    headers: upgrade === '' || method === 'CONNECT' ? headers : [...headers, ['upgrade', upgrade] as const],
    listener: String(port),
    ...(kind === 'tcp' ? {} : { protocol: protocol as 'h2' }),
  } as const
  mesh.thread.receive({ kind: 'ask', id: 1, question })
  await settle(mesh, asked)
  const reply = mesh.messages.findLast(message => message.kind === 'answer')
  if (reply?.kind !== 'answer') throw new Error('no answer')
  return reply.answer as ExplainAnswer
}

async function live(mesh: Mesh, asked: Asked): Promise<void> {
  const { kind, port, method, host, path, headers, upgrade } = asked
  const isConnect = method === 'CONNECT'
  if (kind === 'tcp') {
    const caller = mesh.plainCaller(port)
    caller.send(await clientHello({ servername: host.replace(/:\d+$/, '') }))
    await settle(mesh, asked)
    caller.wire.destroy()
  } else if (kind === 'h2') {
    const caller = mesh.http2Caller(port)
    mesh.settle()
    const asks = isConnect ? 'connect' : upgrade.split(',')[0]!
    caller.ask({
      method: isConnect || asks === '' ? method : 'GET',
      authority: host,
      path,
      upgrade: asks,
      fields: headers.flat(),
    })
    await settle(mesh, asked)
    caller.close()
  } else {
    const caller = mesh.caller(port)
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const asks = upgrade === '' || isConnect ? '' : `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
    caller.send(`${method} ${isConnect ? host : path} HTTP/1.1\r\nHost: ${host}\r\n${lines}${asks}\r\n`)
    await settle(mesh, asked)
    caller.close()
  }
  mesh.advance(1000)
}

/** What was decided; the rest of a flight is what came of it. */
function decided(view: FlightView, isRefused: boolean) {
  const { listener, direction, protocol, method, authority, path, by, service, route, draw, destination, notes } = view
  const { failure, flag, reason, detail, status, grpcStatus, grpcMessage } = view
  const [first] = view.attempts
  return {
    ...{ listener, direction, protocol, method, authority, path, by, service, route, draw, destination, notes },
    deadlineMs: view.deadlineMs === null ? null : Math.round(view.deadlineMs * 100),
    refused: isRefused ? { failure, flag, reason, detail, status, grpcStatus, grpcMessage } : null,
    pick:
      first === undefined
        ? null
        : { endpoint: first.endpoint, policy: first.policy, way: first.way, compared: first.compared },
  }
}

/** HTTP has no such requests, or the codec answers them. */
function isPossible({ kind, method, host, upgrade, headers }: Asked, { protocol, services }: Config): boolean {
  if (kind === 'tcp') return protocol === 'detect' || services[2].protocol === 'tcp'
  if (method === 'CONNECT') return /:\d+$/.test(host) && upgrade === '' && headers.length === 0
  return kind !== 'h2' || upgrade === '' || (method === 'GET' && !upgrade.includes(','))
}

test('the record of an explanation is the record of the request', async () => {
  const seen = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(config, request, async (config, asked) => {
      const port = asked.kind === 'tcp' && config.protocol !== 'detect' ? 8002 : asked.port
      const isTcpPort = port === 8002 && config.services[2].protocol === 'tcp'
      fc.pre(isPossible(asked, config) && (asked.kind === 'tcp' ? isTcpPort || port !== 8002 : !isTcpPort))
      state.filters = config.filters.map(name => filters[name]!)
      const snapshot = snapshotFor(config)
      const [one, other] = [await meshOf(snapshot), await meshOf(snapshot)]
      const question = { ...asked, port }
      state.effects = 0
      const answer = await explained(one, question, asked.kind)
      expect(answer.error).toBe('')
      expect(state.effects).toBe(0)
      await live(other, question)
      const { record } = answer
      const flight = other.flights().at(-1)
      if (flight === undefined) throw new Error('no flight')
      // The codec refuses it: it never was a request.
      fc.pre(asked.kind === 'tcp' || flight.method !== '')
      const isRefused = record!.status !== 0 || record!.failure !== ''
      if (!isRefused) expect(flight.attempts[0]?.endpoint, 'it went').toMatch(/:/)
      expect(decided(record!, isRefused)).toEqual(decided(flight, isRefused))
      const would = answer.steps.find(({ stage }) => stage === 'trace')?.text.startsWith('would be sampled') ?? false
      if (asked.kind !== 'tcp') expect(would).toBe(['caller', 'ratio'].includes(flight.recorded))
      const what = isRefused ? record!.failure || String(record!.status) : 'go'
      seen.set(what, (seen.get(what) ?? 0) + 1)
    }),
    { numRuns: 600 },
  )
  // It would prove nothing if all were refused, or none.
  for (const what of ['go', '429', ...EXPECTED]) expect(seen.get(what) ?? 0, what).toBeGreaterThan(0)
})

const EXPECTED = [
  failures.noRoute,
  failures.noCluster,
  failures.noHealthyUpstream,
  failures.poolOverflow,
  failures.tunnelRefused,
  failures.grpcNeedsHttp2,
  failures.badRequest,
  failures.deadlineExceeded,
  failures.loop,
].map(({ failure }) => failure)
