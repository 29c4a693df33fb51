import { describe, expect, test } from 'vitest'
import { compileService } from '../../mesh-config/compile-service.ts'
import { serviceSchema } from '../../mesh-config/service.ts'
import { Exchange } from '../../proxy/core/exchange.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { RequestHead } from '../../proxy/core/message.ts'
import { editHeads } from '../../proxy/filter/edit-heads.ts'
import { orders } from '../support/orders.ts'
import { respond } from '../support/upstream.ts'

const routeOf = (written: object) => compileService('orders', serviceSchema.parse({ routes: [written] }), []).routes[0]!

function edited(written: object, path: string, headers: string[] = [], chosen = 0) {
  const request: RequestHead = {
    method: 'GET',
    scheme: 'http',
    authority: 'orders',
    path,
    upgrade: '',
    headers: new HeaderList(headers),
  }
  const exchange = new Exchange({ address: '', port: 0 } as never, 'outbound', 'h2', request)
  exchange.decision.chosen = chosen
  exchange.cluster = {} as never
  editHeads(routeOf(written))!.onDestination?.(exchange, 0)
  const pairs: string[] = []
  request.headers.forEach((name, value) => void pairs.push(`${name}: ${value}`))
  return { path: request.path, headers: pairs, notes: exchange.decision.notes }
}

describe('a rewrite', () => {
  const rewritten = (match: object, rewrite: string, path: string) => edited({ match, rewrite }, path).path

  test('takes the place of the prefix that matched, and the rest and the query stay', () => {
    const match = { path: { prefix: '/v2/coffees' } }
    expect(rewritten(match, '/api', '/v2/coffees/1?x=/v2')).toBe('/api/1?x=/v2')
    expect(rewritten(match, '/api', '/v2/coffees')).toBe('/api')
    expect(rewritten(match, '/', '/v2/coffees/1')).toBe('/1')
    expect(rewritten(match, '/', '/v2/coffees?a=b')).toBe('/?a=b')
    expect(rewritten(match, '/', '/v2/coffeesX')).toBe('/X')
  })

  test('or of the whole exact path', () => {
    expect(rewritten({ path: { exact: '/a' } }, '/b/c', '/a?q=1')).toBe('/b/c?q=1')
    expect(rewritten({ path: { exact: '/a' } }, '/', '/a')).toBe('/')
  })

  test.each(['/\u010d\u010ax:', '/a b', '/\u0001', '/caf\u00e9', '/a?b', '/a#b', 'a'])('to %j is refused', rewrite => {
    expect(serviceSchema.safeParse({ routes: [{ match: { path: '/a/*' }, rewrite }] }).success).toBe(false)
  })

  test('the endpoint is told of the path before; people of both, without the query', () => {
    const { headers, notes } = edited({ match: { path: '/a/*' }, rewrite: '/b/' }, '/a/x?token=1')
    expect(headers).toEqual(['x-envoy-original-path: /a/x?token=1'])
    expect(notes).toEqual(['edit-heads: path /a/x -> /b/x'])
  })
})

describe('edits of heads', () => {
  test('remove, add, set; first those of the destination, then those of the route; no value is noted', () => {
    const written = {
      to: [{ weight: 1 }, { service: 'b', headers: { request: { set: { 'X-A': 'split' }, add: { 'x-b': 'split' } } } }],
      headers: { request: { remove: ['X-C'], add: { 'x-b': 'route' }, set: { 'x-a': 'route' } } },
    }
    const headers = ['x-a', '0', 'x-c', 'secret', 'x-d', '1']
    expect(edited(written, '/', headers, 1)).toEqual({
      path: '/',
      headers: ['x-d: 1', 'x-b: split', 'x-b: route', 'x-a: route'],
      notes: [
        'edit-heads: request of this destination: x-b added, x-a set',
        'edit-heads: request: without x-c, x-b added, x-a set',
      ],
    })
    expect(edited(written, '/', headers, 0).notes).toHaveLength(1)
  })

  test('a route without any has no filter', () => {
    expect(editHeads(routeOf({ to: [{ weight: 1 }, { service: 'b' }] }))).toBeNull()
    expect(editHeads(routeOf({ headers: { request: {} } }))).toBeNull()
  })

  test.each([
    'Host',
    'Outrigger-Failure',
    'http2-settings',
    'content-length',
    'Transfer-Encoding',
    'connection',
    'upgrade',
    'te',
  ])('%s is refused', name => {
    const parsed = serviceSchema.safeParse({ routes: [{ headers: { request: { set: { [name]: '1' } } } }] })
    expect(parsed.success).toBe(false)
    expect(
      serviceSchema.safeParse({ routes: [{ headers: { response: { set: { 'x-a': 'a\r\nb: c' } } } }] }).success,
    ).toBe(false)
  })

  test('the whole way: what an endpoint gets, and a caller', async () => {
    const route = routeOf({
      match: { path: '/api/*' },
      rewrite: '/',
      headers: {
        request: { set: { 'x-set': 'new' }, remove: ['x-gone'] },
        response: { set: { 'x-answer': '1' }, remove: ['x-secret'] },
      },
    })
    const { mesh, upstream } = await orders({ routes: [route] })
    upstream.answer = respond('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-secret: s\r\n\r\nok')
    const caller = mesh.caller()
    caller.get('/api/users?id=7', 'x-set: old\r\nx-gone: 1\r\n')
    mesh.settle()
    expect(upstream.received).toMatch(/^GET \/users\?id=7 HTTP/)
    expect(upstream.received).toContain('x-set: new')
    expect(upstream.received).toContain('x-envoy-original-path: /api/users?id=7')
    expect(upstream.received).not.toContain('x-gone')
    expect(caller.received).toContain('x-answer: 1')
    expect(caller.received).not.toContain('x-secret')
  })

  test('a retry sends the edited head as it is, and edits no second time', async () => {
    const route = routeOf({
      match: { path: '/api/*' },
      rewrite: '/api/api/',
      headers: { request: { add: { 'x-a': '1' } } },
    })
    const { mesh, upstream } = await orders({ routes: [route], retries: { attempts: 2, on: ['gateway-error'] } })
    upstream.answer = respond('HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n')
    const caller = mesh.caller()
    caller.get('/api/x')
    mesh.settle()
    mesh.advance(1_000)
    expect(caller.statuses).toEqual([503])
    expect(upstream.received.match(/^GET \S+/gm)).toEqual(['GET /api/api/x', 'GET /api/api/x'])
    expect(upstream.received.match(/^x-a: .*$/gm)).toHaveLength(2)
    expect(upstream.received.match(/^x-envoy-original-path: .*$/gm)).toHaveLength(2)
  })
})
