import { describe, expect, test } from 'vitest'
import type { MirrorSpec, RouteSpec } from '../../mesh-config/snapshot.ts'
import { Mesh } from '../support/mesh.ts'
import { A, B, expectQuiet } from '../support/orders.ts'
import { listenerSpec, matchSpec, routeSpec, serviceSpec, snapshotOf } from '../support/specs.ts'
import { respond, silent } from '../support/upstream.ts'

const COPIES = 'outrigger_mirror_requests_total'

function spec(overrides: Partial<MirrorSpec> = {}): MirrorSpec {
  return {
    service: 'next',
    subset: null,
    percent: 100,
    bodyBytes: 1000,
    active: 100,
    timeoutMs: 5000,
    ...overrides,
  }
}

/** `orders` at A, whose requests are copied to `next` at B. */
async function mirrored(mirror: MirrorSpec, routes?: readonly RouteSpec[]): Promise<Mesh> {
  const orders = serviceSpec('orders', [A], routes === undefined ? {} : { routes })
  return Mesh.start(
    snapshotOf([{ ...orders, mirror }, serviceSpec('next', [B])], [listenerSpec({ service: 'orders' })]),
  )
}

function ask(mesh: Mesh, request = 'GET /x?y=1 HTTP/1.1\r\nHost: orders\r\nX-A: 1\r\nConnection: keep-alive\r\n\r\n') {
  const caller = mesh.caller()
  caller.send(request)
  mesh.settle()
  const { statuses } = caller
  caller.close()
  mesh.settle()
  return statuses[0]
}

const post = (body: string) => `POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const count = (mesh: Mesh, result: string) => mesh.stat(COPIES, { scope: 'orders', result })

describe('a copy', () => {
  test('has the path, the host and the fields of the request, and says that it is one', async () => {
    const mesh = await mirrored(spec())
    expect(ask(mesh)).toBe(200)
    const [copy] = mesh.upstream(B).requests
    expect(copy!.startLine).toBe('GET /x?y=1 HTTP/1.1')
    expect(copy!.header('host')).toBe('orders')
    expect(copy!.header('x-a')).toBe('1')
    expect(copy!.header('x-outrigger-mirrored')).toBe('next')
    expect(mesh.upstream(A).requests[0]!.header('x-outrigger-mirrored')).toBeUndefined()
    expect(copy!.header('x-request-id')).toBe(mesh.upstream(A).requests[0]!.header('x-request-id'))
    expect(mesh.flight.notes).toEqual(['mirror: a copy goes to next'])
    expect(count(mesh, 'same')).toBe(1)
    expectQuiet(mesh)
  })

  test.each([
    ['a length', post('hello'), 'hello'],
    ['chunks', 'POST / HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', 'hello'],
    ['nothing', 'POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 0\r\n\r\n', ''],
  ])('has the body of a request with %s', async (_name, request, body) => {
    const mesh = await mirrored(spec())
    expect(ask(mesh, request)).toBe(200)
    expect(mesh.upstream(A).requests.map(({ text }) => text)).toEqual([body])
    expect(mesh.upstream(B).requests.map(({ text, whole }) => [text, whole])).toEqual([[body, true]])
    expectQuiet(mesh)
  })

  test('is not made of a request with a longer body, which passes whole', async () => {
    const mesh = await mirrored(spec())
    expect(ask(mesh, post('x'.repeat(1001)))).toBe(200)
    expect(mesh.upstream(A).requests[0]!.text).toHaveLength(1001)
    expect(mesh.upstream(B).requests).toEqual([])
    expect(count(mesh, 'oversized')).toBe(1)
    expectQuiet(mesh)
  })

  test('goes with HTTP/2 callers, too', async () => {
    const mesh = await mirrored(spec())
    const got = mesh.http2Caller().ask({ method: 'POST', path: '/h2', body: 'hi' })
    mesh.settle()
    expect(got.status).toBe(200)
    expect(mesh.upstream(B).requests.map(({ startLine, text }) => [startLine, text])).toEqual([
      ['POST /h2 HTTP/1.1', 'hi'],
    ])
  })

  test('is made of a share of the requests, and of none on a route that says so', async () => {
    const mesh = await mirrored(spec({ percent: 30 }))
    for (let i = 0; i < 300; i++) ask(mesh)
    expect(mesh.upstream(B).requests.length).toBeGreaterThan(60)
    expect(mesh.upstream(B).requests.length).toBeLessThan(120)
    const off = await mirrored(spec(), [{ ...routeSpec({ match: matchSpec() }), mirror: null }])
    ask(off)
    expect(off.upstream(B).requests).toEqual([])
  })
})

describe('what its answer says', () => {
  test('is compared with that of the request', async () => {
    const mesh = await mirrored(spec())
    mesh.upstream(B).answer = respond('HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad')
    expect(ask(mesh)).toBe(200)
    expect([count(mesh, 'same'), count(mesh, 'different')]).toEqual([0, 1])
    mesh.upstream(A).answer = respond('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n')
    expect(ask(mesh)).toBe(500)
    expect([count(mesh, 'same'), count(mesh, 'different')]).toEqual([1, 1])
    expectQuiet(mesh)
  })

  test('goes nowhere: requests are counted once, and nothing is tried again', async () => {
    const mesh = await mirrored(spec())
    mesh.upstream(B).answer = respond('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n')
    for (let i = 0; i < 10; i++) expect(ask(mesh)).toBe(200)
    expect(mesh.upstream(B).requests).toHaveLength(10)
    expect(mesh.stat('http_requests_total')).toBe(10)
    expect(mesh.stat('outrigger_retries_total')).toBe(0)
    expect(mesh.flight.attempts).toHaveLength(1)
  })
})

describe('a mirror that does not work changes nothing', () => {
  test('when nothing listens there', async () => {
    const mesh = await mirrored(spec())
    mesh.upstream(B).connect = 'refuse'
    for (let i = 0; i < 20; i++) expect(ask(mesh)).toBe(200)
    expect(count(mesh, 'failed')).toBe(20)
    expectQuiet(mesh)
  })

  test('when the service is not there', async () => {
    const mesh = await mirrored(spec({ service: 'nobody' }))
    expect(ask(mesh)).toBe(200)
    expect(count(mesh, 'failed')).toBe(1)
    expectQuiet(mesh)
  })

  test('when it hangs: so many copies wait, others are not made, and all are given up', async () => {
    const mesh = await mirrored(spec({ active: 5 }))
    mesh.upstream(B).answer = silent
    for (let i = 0; i < 50; i++) {
      const before = mesh.clock.now()
      expect(ask(mesh)).toBe(200)
      expect(mesh.clock.now() - before).toBe(0)
    }
    expect(mesh.upstream(B).requests).toHaveLength(5)
    expect(count(mesh, 'overflow')).toBe(45)
    mesh.advance(5100)
    expect(count(mesh, 'failed')).toBe(5)
    expectQuiet(mesh)
    mesh.upstream(B).answer = respond('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    expect(ask(mesh)).toBe(200)
    expect(count(mesh, 'same')).toBe(1)
  })

  test('when it breaks off in its answer, or answers without end', async () => {
    const mesh = await mirrored(spec())
    mesh.upstream(B).answer = (_request, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')
      mesh.loop.after(1, () => connection.close())
    }
    expect(ask(mesh)).toBe(200)
    mesh.advance(10)
    expect(count(mesh, 'failed')).toBe(1)
    mesh.upstream(B).answer = respond('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf')
    expect(ask(mesh)).toBe(200)
    mesh.advance(5100)
    expect(count(mesh, 'failed')).toBe(2)
    expectQuiet(mesh)
  })

  test('when the caller goes away first', async () => {
    const mesh = await mirrored(spec())
    mesh.upstream(A).answer = silent
    const caller = mesh.caller()
    caller.get()
    mesh.settle()
    caller.close()
    mesh.settle()
    expect(mesh.upstream(B).requests).toHaveLength(1)
    expectQuiet(mesh)
  })
})

test('a reload that takes the mirror away lets its copies end', async () => {
  const mesh = await mirrored(spec())
  mesh.upstream(B).answer = silent
  expect(ask(mesh)).toBe(200)
  await mesh.apply(snapshotOf([serviceSpec('orders', [A])], [listenerSpec({ service: 'orders' })]))
  mesh.advance(5100)
  expect(ask(mesh)).toBe(200)
  expect(mesh.upstream(B).requests).toHaveLength(1)
  expect(mesh.stat(COPIES)).toBe(0)
})
