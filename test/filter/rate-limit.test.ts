import { describe, expect, test } from 'vitest'
import type { RateLimitKeySpec, RateLimitSpec, RouteSpec } from '../../mesh-config/snapshot.ts'
import type { ExplainAnswer } from '../../proxy/core/channel.ts'
import { Exchange } from '../../proxy/core/exchange.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { RateLimitKey } from '../../proxy/filter/rate-limit-key.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'
import { EventLoop } from '../support/event-loop.ts'
import { Mesh, type MeshOptions } from '../support/mesh.ts'
import { A, expectQuiet } from '../support/orders.ts'
import { listenerSpec, matchSpec, routeSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

const METRIC = 'outrigger_rate_limit_requests_total'

function rule(overrides: Partial<RateLimitSpec> = {}): RateLimitSpec {
  return {
    name: 'r',
    count: 10,
    perSeconds: 1,
    burst: 2,
    by: [],
    mode: 'enforce',
    keys: 1000,
    tell: 'refused',
    ...overrides,
  }
}

interface Limits {
  readonly listener?: readonly RateLimitSpec[]
  readonly service?: readonly RateLimitSpec[]
  readonly routes?: readonly RouteSpec[]
}

function limitedSnapshot({ listener, service, routes }: Limits) {
  const orders = serviceSpec('orders', [A], routes === undefined ? {} : { routes })
  return snapshotOf(
    [{ ...orders, ...(service === undefined ? {} : { rateLimits: service }) }],
    [{ ...listenerSpec({ service: 'orders' }), ...(listener === undefined ? {} : { rateLimits: listener }) }],
  )
}

const limited = (limits: Limits, options: MeshOptions = {}) => Mesh.start(limitedSnapshot(limits), options)

function ask(
  mesh: Mesh,
  path = '/',
  headers = '',
): { readonly status: number; header(name: string): string | undefined } {
  const caller = mesh.caller()
  caller.get(path, headers)
  mesh.settle()
  const { last } = caller
  caller.close()
  mesh.settle()
  return { status: last.status, header: name => last.header(name) }
}

const statuses = (mesh: Mesh, count: number, path = '/', headers = '') =>
  Array.from({ length: count }, () => ask(mesh, path, headers).status)

async function explain(mesh: Mesh, headers: readonly (readonly [string, string])[] = []): Promise<ExplainAnswer> {
  mesh.thread.receive({
    kind: 'ask',
    id: 77,
    question: { what: 'explain', method: 'GET', url: '/', headers, listener: null },
  })
  await new Promise(resolve => setImmediate(resolve))
  const found = mesh.messages.findLast(message => message.kind === 'answer' && message.id === 77)
  if (found?.kind !== 'answer') throw new Error('no answer')
  return found.answer as ExplainAnswer
}

describe.each(['listener', 'service', 'routes'] as const)('a rule of the %s', at => {
  const limits = (given: RateLimitSpec): Limits =>
    at === 'routes' ? { routes: [{ ...routeSpec({}), rateLimits: [given] }] } : { [at]: [given] }

  test('refuses with 429 RL, says when to come again, and lets requests pass then', async () => {
    const mesh = await limited(limits(rule()))
    expect(statuses(mesh, 2)).toEqual([200, 200])
    const refused = ask(mesh)
    expect(refused.status).toBe(429)
    expect(refused.header('retry-after')).toBe('1')
    expect(refused.header('ratelimit-policy')).toBe('"r";q=10;w=1')
    expect(refused.header('ratelimit')).toBe('"r";r=0;t=1')
    expect(refused.header('content-type')).toBe('application/problem+json')
    expect(mesh.flight).toMatchObject({ flag: 'RL', failure: 'rate-limited', detail: 'r: 10/s, burst 2', attempts: [] })
    mesh.advance(100)
    expect(statuses(mesh, 2)).toEqual([200, 429])
    expect(mesh.stat(METRIC, { rule: 'r', result: 'allowed' })).toBe(3)
    expect(mesh.stat(METRIC, { rule: 'r', result: 'limited' })).toBe(2)
    expect(mesh.endpoints()[0]!.endpoints[0]!.failures).toBe(0)
    expectQuiet(mesh)
  })

  test('is explained without taking a token', async () => {
    const mesh = await limited(limits(rule()))
    for (let i = 0; i < 5; i++) {
      const { record, steps } = await explain(mesh)
      expect(record!.status).toBe(0)
      expect(steps).toContainEqual({
        stage: 'filters',
        text: 'rate-limit: r: 10/s, burst 2: a token is there, and 1 are left after it',
      })
    }
    expect(statuses(mesh, 3)).toEqual([200, 200, 429])
    const { record, steps } = await explain(mesh)
    expect(record).toMatchObject({ status: 429, flag: 'RL' })
    expect(steps.map(({ text }) => text)).toContain(
      'rate-limit: r: 10/s, burst 2: no token left, the next one comes in 100 ms',
    )
    expect(mesh.stat(METRIC, { result: 'limited' })).toBe(1)
  })

  test('with mode: shadow refuses nothing, and says what it would', async () => {
    const mesh = await limited(limits(rule({ mode: 'shadow' })))
    expect(statuses(mesh, 3)).toEqual([200, 200, 200])
    expect(mesh.flight.notes).toEqual(['rate-limit: would be refused by r: 10/s, burst 2 (mode: shadow)'])
    expect(mesh.stat(METRIC, { rule: 'r', result: 'limited' })).toBe(1)
  })
})

test('the documented example: 1,000 requests a second with a burst of 200', async () => {
  const mesh = await limited({ service: [rule({ count: 1000, burst: 200 })] })
  const caller = mesh.caller()
  for (let i = 0; i < 300; i++) caller.get()
  mesh.settle()
  expect(caller.statuses.filter(status => status === 200)).toHaveLength(200)
  for (let ms = 0; ms < 1000; ms++) {
    mesh.advance(1)
    caller.get().get()
  }
  mesh.settle()
  const { length } = caller.statuses.filter(status => status === 200)
  expect(length).toBeGreaterThanOrEqual(1199)
  expect(length).toBeLessThanOrEqual(1200)
})

test('gRPC hears RESOURCE_EXHAUSTED, and when to try again', async () => {
  const mesh = await limited({ service: [rule({ burst: 1 })] })
  const call = () => {
    const got = mesh
      .http2Caller()
      .ask({ method: 'POST', path: '/shop.Orders/Get', fields: ['content-type', 'application/grpc', 'te', 'trailers'] })
    mesh.settle()
    return got
  }
  call()
  const refused = call()
  expect(refused.status).toBe(200)
  expect(refused.fields.get('grpc-status')).toBe('8')
  expect(refused.fields.get('grpc-retry-pushback-ms')).toBe('100')
  expect(refused.fields.get('x-outrigger-flag')).toBe('RL')
})

test('a key that is exhausted changes nothing for the others', async () => {
  const mesh = await limited({ service: [rule({ by: [{ kind: 'header', name: 'x-key' }] })] })
  expect(statuses(mesh, 4, '/', 'X-Key: loud\r\n')).toEqual([200, 200, 429, 429])
  for (let i = 0; i < 20; i++) expect(statuses(mesh, 2, '/', `X-Key: other ${i}\r\n`)).toEqual([200, 200])
  expect(ask(mesh, '/', 'X-Key: loud\r\n').status).toBe(429)
})

test('requests without the header share one bucket', async () => {
  const mesh = await limited({ service: [rule({ by: [{ kind: 'header', name: 'x-key' }] })] })
  expect(statuses(mesh, 3)).toEqual([200, 200, 429])
  expect(ask(mesh, '/', 'X-Key: a\r\n').status).toBe(200)
})

test('a rule with a match leaves other requests alone', async () => {
  const match = matchSpec({ path: { kind: 'prefix', value: '/api/' }, methods: ['GET'] })
  const mesh = await limited({ listener: [rule({ match })] })
  expect(statuses(mesh, 3, '/api/x?y=1')).toEqual([200, 200, 429])
  expect(statuses(mesh, 3, '/')).toEqual([200, 200, 200])
})

test('each rule must have a token; one that refuses takes none of the others', async () => {
  const mesh = await limited({ service: [rule({ name: 'wide', burst: 3 }), rule({ name: 'narrow', burst: 1 })] })
  expect(statuses(mesh, 5)).toEqual([200, 429, 429, 429, 429])
  expect(mesh.flight.detail).toBe('narrow: 10/s, burst 1')
  mesh.advance(100)
  expect(statuses(mesh, 1)).toEqual([200])
  // 3 - 1 - 1, and one came back meanwhile.
  mesh.advance(100)
  expect(statuses(mesh, 1)).toEqual([200])
})

test('with tell: always every answer says what is left, with never none does', async () => {
  const always = await limited({ service: [rule({ tell: 'always' })] })
  expect(ask(always).header('ratelimit')).toBe('"r";r=1')
  expect(ask(always).header('ratelimit')).toBe('"r";r=0')
  const never = await limited({ service: [rule({ tell: 'never', burst: 1 })] })
  ask(never)
  const refused = ask(never)
  expect([refused.status, refused.header('ratelimit'), refused.header('retry-after')]).toEqual([
    429,
    undefined,
    undefined,
  ])
})

test('two data threads have one bucket', async () => {
  const memory = new SharedArrayBuffer(64 * 1024 ** 2)
  const loop = new EventLoop()
  const snapshot = limitedSnapshot({ service: [rule({ burst: 10, by: [{ kind: 'header', name: 'x-key' }] })] })
  const one = await Mesh.start(snapshot, { loop, cells: sharedCells(memory, 0, 2) })
  const other = await Mesh.start(snapshot, { loop, cells: sharedCells(memory, 1, 2) })
  const all = Array.from({ length: 10 }, () => [ask(one).status, ask(other).status]).flat()
  expect(all.filter(status => status === 200)).toHaveLength(10)
})

test('what a reload does not change keeps its buckets, what it changes begins anew', async () => {
  const mesh = await limited({ service: [rule()] })
  expect(statuses(mesh, 3)).toEqual([200, 200, 429])
  const same = limitedSnapshot({ service: [rule()] })
  await mesh.apply({ ...same, services: { ...same.services, cart: serviceSpec('cart', [A]) } })
  expect(statuses(mesh, 1)).toEqual([429])
  await mesh.apply(limitedSnapshot({ service: [rule({ burst: 3 })] }))
  expect(statuses(mesh, 4)).toEqual([200, 200, 200, 429])
  await mesh.apply(limitedSnapshot({}))
  expect(statuses(mesh, 5)).toEqual([200, 200, 200, 200, 200])
  expect(mesh.stat(METRIC)).toBe(0)
})

test('a caller that makes up 100,000 keys takes no token of others, and no memory beyond the bound', async () => {
  const mesh = await limited({ service: [rule({ burst: 5, by: [{ kind: 'header', name: 'x-key' }], keys: 1000 })] })
  const caller = mesh.caller()
  caller.keep = false
  const busy: number[] = []
  for (let i = 0; i < 100_000; i++) {
    caller.get('/', `X-Key: made up ${i}\r\n`)
    if (i % 1000 === 0) {
      mesh.settle()
      if (busy.length < 8) busy.push(ask(mesh, '/', 'X-Key: busy\r\n').status)
    }
  }
  mesh.settle()
  expect(busy).toEqual([200, 200, 200, 200, 200, 429, 429, 429])
  expect(mesh.stat('outrigger_rate_limit_evictions_total')).toBeGreaterThan(90_000)
})

describe('the key of a request', () => {
  function keyOf(parts: readonly RateLimitKeySpec[], address: string, headers: string[] = [], source = ''): string {
    const request = { method: 'GET', scheme: 'http', authority: 'o', path: '/', upgrade: '', source } as const
    const peer = { address, port: 1, local: '', localPort: 0 }
    const exchange = new Exchange(peer, 'inbound', 'h2', { ...request, headers: new HeaderList(headers) })
    const key = new RateLimitKey(parts)
    key.read(exchange, 1, 2)
    return `${key.high} ${key.low}`
  }
  const network = (ipv4Bits: number, ipv6Bits: number): readonly RateLimitKeySpec[] => [
    { kind: 'address', ipv4Bits, ipv6Bits },
  ]

  test.each([
    ['10.1.2.3', '10.1.2.200', 24, 64, true],
    ['10.1.2.3', '10.1.3.3', 24, 64, false],
    ['10.1.2.3', '10.1.2.4', 32, 64, false],
    ['10.1.2.3', '::ffff:10.1.2.3', 32, 64, true],
    ['10.1.2.3', '11.200.0.1', 0, 64, true],
    ['fd00:1:2:3::1', 'fd00:1:2:3:ffff::9', 32, 64, true],
    ['fd00:1:2:3::1', 'fd00:1:2:4::1', 32, 64, false],
    ['fd00:1:2::', 'fd00:1:2:0:1::', 32, 64, true],
    ['::1', '::2', 32, 128, false],
    ['2001:db8::1', '2001:db8:0:0:0:0:0:1', 32, 128, true],
    ['fe80::1%eth0', 'fe80::1', 32, 128, true],
    ['2001:db8:ff00::', '2001:db8:fe00::', 32, 39, true],
    ['2001:db8:ff00::', '2001:db8:fe00::', 32, 40, false],
  ])('%s and %s in /%i, /%i are one: %s', (one, other, ipv4, ipv6, same) => {
    expect(keyOf(network(ipv4, ipv6), one) === keyOf(network(ipv4, ipv6), other)).toBe(same)
  })

  test('two headers are not one that is as long as both', () => {
    const parts: readonly RateLimitKeySpec[] = [
      { kind: 'header', name: 'a' },
      { kind: 'header', name: 'b' },
    ]
    const keys = [
      ['a', 'xy', 'b', 'z'],
      ['a', 'x', 'b', 'yz'],
      ['a', 'xyz', 'b', ''],
      ['a', 'xyz'],
      ['b', 'xyz'],
      ['a', 'xy', 'a', 'q', 'b', 'z'],
    ].map(headers => keyOf(parts, '1.1.1.1', headers))
    expect(new Set(keys).size).toBe(keys.length)
  })

  test('the calling service is what its sidecar says', () => {
    const by: readonly RateLimitKeySpec[] = [{ kind: 'identity' }]
    expect(keyOf(by, '1.1.1.1', [], 'web')).toBe(keyOf(by, '2.2.2.2', [], 'web'))
    expect(keyOf(by, '1.1.1.1', [], 'web')).not.toBe(keyOf(by, '1.1.1.1', [], 'cart'))
  })
})
