import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isReasons, policyOf, readPolicy } from '../../proxy/sync/policy.ts'
import { specOf } from '../support/agent-server.ts'

const rich = {
  protocol: 'grpc',
  hosts: ['a.example'],
  balancer: {
    type: 'maglev',
    tableSize: 101,
    hashOn: [{ header: 'x-a' }, { cookie: { name: 'c', ttl: '1s' } }, { path: true }, { sourceIp: true }],
    sticky: { cookie: 'c', cookieSecret: '0123456789abcdef' },
    subsetSize: 3,
  },
  retries: { on: ['5xx', 'unavailable'], attempts: 3 },
  subsets: { v1: { version: 'v1' } },
  subsetFallback: { subset: 'v1' },
  routes: [
    {
      name: 'one',
      match: {
        path: { regex: '/a.*' },
        methods: ['GET'],
        headers: { a: { exact: 'v' } },
        query: { b: { present: true } },
      },
      to: [{ service: 'orders', subset: 'v1', weight: 3 }],
      timeouts: { request: '3s' },
      retries: { attempts: 2 },
    },
    {
      match: { path: '/c/*' },
      rewrite: '/d/',
      headers: { request: { set: { 'x-a': '1' }, add: { 'x-b': '2' }, remove: ['x-c'] } },
    },
    { match: { path: { prefix: '/b' } } },
  ],
}
const spec = specOf('orders', rich)
const texts = { service: 'orders', version: 'v1', spec: JSON.stringify(spec), provenance: '{}', discovery: '' }

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** The paths of all values, containers too. */
function* paths(value: Json, path: readonly string[] = []): Generator<readonly string[]> {
  if (path.length > 0) yield path
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) yield* paths(inner, [...path, key])
}

function replaced(value: Json, [step, ...rest]: readonly string[], by: Json | undefined): Json {
  if (step === undefined) return by as Json
  const copy = structuredClone(value) as Record<string, Json>
  if (rest.length === 0 && by === undefined) delete copy[step]
  else copy[step] = replaced(copy[step]!, rest, by)
  return copy
}

const all = [...paths(spec as unknown as Json)]
const refused = (value: Json) =>
  isReasons(policyOf('orders', { version: 'v', spec: value, provenance: '', discovery: null }))

describe('a compiled policy', () => {
  test.each([
    ['with everything', rich],
    ['of nothing', {}],
  ])('%s is taken as it is', (_name, policy) => {
    const compiled = specOf('orders', policy)
    expect(readPolicy({ ...texts, spec: JSON.stringify(compiled) })).toEqual({
      version: 'v1',
      spec: compiled,
      discovery: null,
      provenance: '{}',
    })
  })

  // A map may have one entry more or less: its keys are the author's. And a route need not edit heads.
  const optional = ['routes.1.rewrite', 'routes.1.headers']
  const fieldPaths = all.filter(
    path => path[0] !== 'subsets' && !/^\d+$/.test(path.at(-1)!) && !optional.includes(path.join('.')),
  )

  test.each(fieldPaths.map(path => path.join('.')))('without %s is refused', name => {
    expect(refused(replaced(spec as unknown as Json, name.split('.'), undefined))).toBe(true)
  })

  test.each(all.map(path => path.join('.')))('with something else for %s is refused', name => {
    const wrong: readonly Json[] = [{ odd: [] }, -1, Number.MAX_VALUE]
    expect(wrong.some(value => !refused(replaced(spec as unknown as Json, name.split('.'), value)))).toBe(false)
  })

  test('with a field that this version does not know is refused', () => {
    expect(refused({ ...(spec as unknown as Record<string, Json>), odd: 1 })).toBe(true)
  })

  test('for another service, with endpoints of its own, or of the application is refused', () => {
    for (const over of [{ name: 'other' }, { kind: 'local' }, { endpoints: [{ address: '1.2.3.4' }] }])
      expect(refused({ ...(spec as unknown as Record<string, Json>), ...over })).toBe(true)
  })

  test('that would fill a table for ever is refused', () => {
    expect(refused(replaced(spec as unknown as Json, ['balancer', 'tableSize'], 100))).toBe(true)
  })

  test.each([
    ['rewrite', '/\u010d\u010ax:'],
    ['rewrite', '/a?b'],
    ['headers.request.set.0.1', 'a\r\nb: c'],
    ['headers.request.add.0.1', '\u010d\u010ab: c'],
    ['headers.request.set.0.0', 'content-length'],
    ['headers.request.set.0.0', 'outrigger-failure'],
    ['headers.request.remove.0', 'a b'],
  ])('that would write %s as %j is refused', (path, value) => {
    expect(refused(replaced(spec as unknown as Json, ['routes', '1', ...path.split('.')], value))).toBe(true)
  })

  test('any JSON gives a policy or reasons', () => {
    fc.assert(
      fc.property(fc.json(), fc.json(), (one, two) => {
        readPolicy({ ...texts, spec: one, discovery: two })
        readPolicy({ ...texts, discovery: two })
      }),
    )
  })
})

describe('where the endpoints are', () => {
  const consul = {
    service: 'orders',
    name: 'orders-eu',
    datacenter: 'dc2',
    tags: [],
    addressKind: 'service',
    failover: [],
  }

  test('is taken for this service, and what it says of others is left out', () => {
    const discovery = JSON.stringify({ consul: { services: [consul, { ...consul, service: 'other' }] } })
    expect(readPolicy({ ...texts, discovery })).toMatchObject({ discovery: { consul: [consul], dns: null } })
  })

  test('of another form is refused', () => {
    const discovery = JSON.stringify({ consul: { services: [{ ...consul, tags: 'a' }] } })
    expect(readPolicy({ ...texts, discovery })).toEqual([expect.stringMatching(/\[0\]\.tags: no list/)])
  })
})
