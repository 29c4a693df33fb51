import { describe, expect, test } from 'vitest'
import type { BalancerSpec, HashKeySpec } from '../../mesh-config/snapshot.ts'
import { affinity } from '../../proxy/cluster/affinity.ts'
import { NO_HASH, type PickContext } from '../../proxy/core/balancer.ts'
import { Exchange } from '../../proxy/core/exchange.ts'
import { hash32, mix32 } from '../../proxy/core/hash.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { bareEndpoint, pickContext } from '../support/endpoints.ts'
import { seeded } from '../support/random.ts'
import { balancerSpec, serviceSpec } from '../support/specs.ts'
import { clusterOf } from './cluster-of.ts'

interface Request {
  readonly headers?: Readonly<Record<string, string>>
  readonly path?: string
  readonly from?: string
}

function exchangeOf({ headers = {}, path = '/', from = '10.9.9.9' }: Request): Exchange {
  const request = {
    method: 'GET',
    scheme: 'http',
    authority: 'orders',
    path,
    upgrade: '',
    headers: new HeaderList(Object.entries(headers).flat()),
  } as const
  return new Exchange({ address: from, port: 1234, local: '', localPort: 0 }, 'outbound', 'http/1.1', request)
}

const header = (name: string, terminal = false): HashKeySpec => ({ kind: 'header', name, terminal })
const query = (name: string): HashKeySpec => ({ kind: 'query', name, terminal: false })
const cookie = (name: string, ttlMs = 0, terminal = false): HashKeySpec => ({
  kind: 'cookie',
  name,
  ttlMs,
  path: '/p',
  terminal,
})
const path: HashKeySpec = { kind: 'path', terminal: false }
const sourceIp: HashKeySpec = { kind: 'sourceIp', terminal: false }

/** The context after `prepare`. */
function prepared(keys: readonly HashKeySpec[], request: Request, balancer: Partial<BalancerSpec> = {}): PickContext {
  const context = pickContext()
  affinity(balancerSpec({ type: 'ring_hash', hashOn: keys, ...balancer }), true, seeded(1)).prepare!(
    exchangeOf(request),
    context,
  )
  return context
}

describe('the hash of a request', () => {
  test.each<[string, readonly HashKeySpec[], Request, string]>([
    ['a header', [header('x-user')], { headers: { 'X-User': 'ada' } }, 'ada'],
    ['a cookie', [cookie('s')], { headers: { cookie: 'a=1; s=ada' } }, 'ada'],
    ['a query parameter', [query('user')], { path: '/x?a=1&user=ada' }, 'ada'],
    ['an encoded one', [query('u ser')], { path: '/x?u+ser=a%64a' }, 'ada'],
    ['the first of several', [query('user')], { path: '/?user=ada&user=bob' }, 'ada'],
    ['the path', [path], { path: '/ada?x=1' }, '/ada'],
    ['a path without a query', [path], { path: '/ada' }, '/ada'],
    ['the address of the caller', [sourceIp], { from: '10.0.0.7' }, '10.0.0.7'],
  ])('is of %s', (_what, keys, request, value) => {
    expect(prepared(keys, request).hash).toBe(hash32(value))
  })

  test.each<[string, readonly HashKeySpec[], Request]>([
    ['no keys', [], {}],
    ['a header that is missing', [header('x-user')], {}],
    ['an empty one', [header('x-user')], { headers: { 'x-user': '' } }],
    ['a cookie that is missing', [cookie('s')], { headers: { cookie: 'a=1' } }],
    ['no query at all', [query('user')], { path: '/user=ada' }],
    ['an empty parameter', [query('user')], { path: '/?user=&x=1' }],
  ])('is none with %s', (_what, keys, request) => {
    expect(prepared(keys, request).hash).toBe(NO_HASH)
  })

  test('is of all values together, in their order', () => {
    const request = { headers: { a: '1', b: '2' } }
    expect(prepared([header('a'), header('b')], request).hash).toBe(mix32(hash32('1'), hash32('2')))
    expect(prepared([header('b'), header('a')], request).hash).toBe(mix32(hash32('2'), hash32('1')))
    expect(prepared([header('a'), header('missing'), header('b')], request).hash).toBe(mix32(hash32('1'), hash32('2')))
  })

  test('ends with a terminal key that gives a value, and goes on after one that does not', () => {
    const keys = [header('a', true), sourceIp]
    expect(prepared(keys, { headers: { a: '1' } }).hash).toBe(hash32('1'))
    expect(prepared(keys, { from: '10.0.0.7' }).hash).toBe(hash32('10.0.0.7'))
  })

  test('of ip_hash is the address, whatever the keys', () => {
    expect(prepared([header('a')], { headers: { a: '1' }, from: '10.0.0.7' }, { type: 'ip_hash' }).hash).toBe(
      hash32('10.0.0.7'),
    )
  })

  test('does not stay from the request before on the same connection', () => {
    const { prepare } = affinity(
      balancerSpec({
        type: 'maglev',
        hashOn: [cookie('s', 1000)],
        sticky: { cookie: 't', ttlMs: 0, path: '/', secret: 'of the tests' },
      }),
      true,
      seeded(1),
    )
    const context = pickContext()
    prepare!(exchangeOf({ headers: { cookie: 't=abc' } }), context)
    expect(context.madeCookie).not.toBe('')
    expect(context.sticky).toBe('abc')
    prepare!(exchangeOf({ headers: { cookie: 's=1' } }), context)
    expect(context).toMatchObject({ madeCookie: '', sticky: '', hash: hash32('1') })
  })
})

describe('a cookie that is made', () => {
  const spec = balancerSpec({ type: 'maglev', hashOn: [header('a', true), cookie('s', 60_000), sourceIp] })

  test('is 64 random bits, hashed now as it will be when it comes back', () => {
    const { prepare, cookie: set } = affinity(spec, true, seeded(1))
    const made = new Set<string>()
    for (let i = 0; i < 100; i++) {
      const context = pickContext()
      prepare!(exchangeOf({}), context)
      expect(context.madeCookie).toMatch(/^[0-9a-f]{16}$/)
      made.add(context.madeCookie)
      expect(set!(context, bareEndpoint())).toBe(`s=${context.madeCookie}; Max-Age=60; Path=/p; HttpOnly; SameSite=Lax`)
      const again = pickContext()
      prepare!(exchangeOf({ headers: { cookie: `s=${context.madeCookie}` } }), again)
      expect(again.hash).toBe(context.hash)
      expect(set!(again, bareEndpoint())).toBe('')
    }
    expect(made.size).toBe(100)
  })

  test('is not made where the request has one, where a terminal key was enough, or without a life time', () => {
    const { prepare } = affinity(spec, true, seeded(1))
    const context = pickContext()
    for (const headers of [{ cookie: 's=x' }, { a: '1' }]) {
      prepare!(exchangeOf({ headers }), context)
      expect(context.madeCookie).toBe('')
    }
    expect(prepared([cookie('s')], {}).madeCookie).toBe('')
  })

  test('is one for a service', () => {
    const context = prepared([cookie('s', 1000), cookie('t', 1000)], {})
    expect(context.hash).toBe(hash32(context.madeCookie))
  })
})

describe('a sticky session', () => {
  const sticky = { cookie: 'session', ttlMs: 0, path: '/', secret: 'of the tests' }
  const options = { balancer: { type: 'random', sticky } as const }
  const names = ['10.0.0.0:80', '10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80']

  function session() {
    const made = clusterOf(serviceSpec('orders', names, options))
    let jar = ''
    const send = (tried = pickContext().tried) => {
      const context = pickContext(tried)
      made.cluster.whole.prepare!(
        exchangeOf({ headers: jar === '' ? {} : { cookie: `theme=dark; session=${jar}` } }),
        context,
      )
      const endpoint = made.cluster.whole.balancer.pick(context)!
      const set = made.cluster.whole.cookie!(context, endpoint)
      if (set !== '') jar = /^session=([^;]+); Path=\/; HttpOnly; SameSite=Lax$/.exec(set)![1]!
      return { endpoint, set, record: context.record }
    }
    return { ...made, send }
  }

  test('stays where it began; the cookie comes once and says nothing of the address', () => {
    const { send } = session()
    const first = send()
    expect(first.record.sticky).toBe(false)
    expect(first.set).not.toBe('')
    expect(first.set).not.toContain(first.endpoint.name)
    for (let i = 0; i < 100; i++) {
      const next = send()
      expect(next.endpoint).toBe(first.endpoint)
      expect(next.set).toBe('')
      expect(next.record.sticky).toBe(true)
    }
  })

  test('moves, with a new cookie, when its endpoint may not be used, and stays there', () => {
    const { cluster, send } = session()
    const { endpoint } = send()
    endpoint.state = 'ejected'
    cluster.rebuild()
    const moved = send()
    expect(moved.endpoint).not.toBe(endpoint)
    expect(moved.set).not.toBe('')
    endpoint.state = 'admitting'
    cluster.rebuild()
    for (let i = 0; i < 20; i++) expect(send().endpoint).toBe(moved.endpoint)
  })

  test('a retry goes elsewhere', () => {
    const { send } = session()
    const { endpoint } = send()
    const retried = send([endpoint])
    expect(retried.endpoint).not.toBe(endpoint)
    expect(retried.record.sticky).toBe(false)
    expect(send().endpoint).toBe(retried.endpoint)
  })

  test('a cookie that nobody gave is no harm', () => {
    const { cluster } = session()
    for (const value of ['zzzzzzz', '__proto__', '', '"', 'x'.repeat(5000)]) {
      const context = pickContext()
      cluster.whole.prepare!(exchangeOf({ headers: { cookie: `session=${value}` } }), context)
      expect(cluster.endpoints).toContain(cluster.whole.balancer.pick(context))
      expect(context.record.sticky).toBe(false)
    }
  })

  test('finds its endpoint in any priority and zone', () => {
    const endpoints = names.map((name, i) => ({ ...serviceSpec('x', [name]).endpoints[0]!, priority: i % 2 }))
    const { cluster } = clusterOf(serviceSpec('orders', endpoints, { balancer: options.balancer }))
    for (const endpoint of cluster.endpoints)
      expect(cluster.whole.balancer.pick({ ...pickContext(), sticky: endpoint.stickyId })).toBe(endpoint)
  })

  test('with a hash cookie too, one comes after the other, and the endpoint is the same', () => {
    const { prepare, cookie: set } = affinity(
      balancerSpec({ type: 'maglev', hashOn: [cookie('s', 1000)], sticky }),
      true,
      seeded(1),
    )
    const endpoint = bareEndpoint()
    endpoint.stickyId = 'an-id'
    const context = pickContext()
    prepare!(exchangeOf({}), context)
    const first = set!(context, endpoint)
    expect(first).toMatch(/^s=/)
    prepare!(exchangeOf({ headers: { cookie: first.slice(0, first.indexOf(';')) } }), context)
    const second = set!(context, endpoint)
    expect(second).toMatch(/^session=/)
    prepare!(
      exchangeOf({ headers: { cookie: [first, second].map(each => each.slice(0, each.indexOf(';'))).join('; ') } }),
      context,
    )
    expect(set!(context, endpoint)).toBe('')
  })
})

describe('a service with neither', () => {
  test('costs nothing', () => {
    expect(affinity(balancerSpec({ hashOn: [header('a')] }), false, seeded(1))).toEqual({ prepare: null, cookie: null })
    const { cluster } = clusterOf(serviceSpec('orders', ['a:1']))
    expect(cluster.whole.prepare).toBeNull()
    expect(cluster.whole.cookie).toBeNull()
  })

  test('and one that hashes without cookies never sets one', () => {
    expect(
      affinity(balancerSpec({ type: 'ring_hash', hashOn: [header('a'), cookie('s')] }), true, seeded(1)).cookie,
    ).toBeNull()
  })
})
