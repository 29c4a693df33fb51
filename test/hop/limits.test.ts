import { describe, expect, test } from 'vitest'
import { between, expectQuiet, meet, twoSidecars } from '../support/two-sidecars.ts'
import { respond } from '../support/upstream.ts'

/** The limits of a service hold over HTTP/1.1 and the hop together, and no caller of many stops the others. */

const HOP = 'HTTP/2 hop'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
/** HTTP/2 has no request without a host. */
const HOSTLESS = 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'

describe('limits.connections', () => {
  test.each([
    [1, 'HTTP/1.1'],
    [2, HOP],
  ])('of %i: %s, and never more', async (connections, protocol) => {
    const { mesh } = await twoSidecars({ limits: { connections } })
    meet(mesh)
    const caller = mesh.caller()
    const get = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n'
    for (const request of [get, get, HOSTLESS, get, HOSTLESS, HOSTLESS, get, get]) {
      caller.send(request)
      mesh.settle()
      expect(between(mesh).connections).toBeLessThanOrEqual(connections)
      mesh.advance(10_000)
    }
    expect(caller.statuses).toEqual(Array.from({ length: 8 }, () => 200))
    expect(between(mesh).protocol).toBe(protocol)
    caller.close()
    mesh.settle()
    expectQuiet(mesh)
  })
  test('lowered to what the hop has: a request that needs HTTP/1.1 gets its permit, as soon as what runs there has ended', async () => {
    const { mesh, application, apply } = await twoSidecars()
    meet(mesh)
    mesh.advance(10_000)
    await apply({ limits: { connections: 1 } })
    const idle = mesh.caller().send(HOSTLESS)
    mesh.settle()
    expect(idle.statuses).toEqual([200])
    expect(between(mesh)).toEqual({ connections: 1, protocol: 'HTTP/1.1' })
    await apply({})
    meet(mesh)
    mesh.advance(10_000)
    await apply({ limits: { connections: 1 } })
    application.answer = () => {}
    const slow = Array.from({ length: 3 }, () => mesh.caller().get('/slow'))
    mesh.settle()
    const needy = mesh.caller().send(HOSTLESS)
    mesh.settle()
    expect(needy.statuses).toEqual([])
    application.answer = respond(OK)
    for (const open of application.open.filter(({ received }) => received.includes('/slow'))) open.send(OK)
    mesh.settle()
    expect([...slow, needy].map(({ statuses }) => statuses)).toEqual([[200], [200], [200], [200]])
    expect(between(mesh).connections).toBe(1)
  })
  test('more requests than streams: the rest goes by HTTP/1.1, and more connections are made for the next', async () => {
    const { mesh, application } = await twoSidecars({ inbound: { limits: { streams: 4 } } })
    meet(mesh)
    mesh.advance(10_000)
    application.answer = () => {}
    const callers = Array.from({ length: 12 }, () => mesh.caller())
    for (const caller of callers) {
      caller.get('/slow')
      mesh.settle()
    }
    const { connections, protocol } = between(mesh)
    expect(protocol).toBe(HOP)
    expect(connections).toBeLessThanOrEqual(4)
    for (const open of application.open) open.send(OK)
    mesh.settle()
    expect(callers.map(({ statuses }) => statuses)).toEqual(callers.map(() => [200]))
  })
})

test('readers that stand still do not stop the others', async () => {
  const { mesh, application } = await twoSidecars()
  meet(mesh)
  mesh.advance(10_000)
  const SIZE = 1_200_000
  const large = `HTTP/1.1 200 OK\r\nContent-Length: ${SIZE}\r\n\r\n`
  const body = Buffer.alloc(SIZE, 'x')
  application.answer = (request, connection) => {
    connection.send(request.target === '/large' ? large : OK)
    if (request.target === '/large') connection.send(body)
  }
  // With the first window of each held, half of what one connection once might hold for all was gone with 129 of them.
  const stuck = Array.from({ length: 135 }, () => mesh.caller())
  for (const caller of stuck) {
    caller.wire.pause()
    caller.get('/large')
  }
  mesh.settle()
  expect(mesh.flights().every(({ path }) => path === '/meet')).toBe(true)
  const quick = mesh.caller()
  for (let i = 0; i < 5; i++) {
    quick.get('/small')
    mesh.settle()
  }
  expect(quick.statuses).toEqual([200, 200, 200, 200, 200])
  expect(between(mesh)).toEqual({ connections: 1, protocol: HOP })
  for (const caller of stuck) {
    caller.keep = false
    caller.wire.resume()
  }
  mesh.settle()
  for (const caller of stuck) expect(caller.last.bodyBytes).toBe(SIZE)
}, 60_000)

test('callers that go away, many at a time, cost the others nothing', async () => {
  const { mesh, application } = await twoSidecars()
  meet(mesh)
  mesh.advance(10_000)
  application.answer = request => request
  const staying = mesh.caller().get('/staying')
  mesh.settle()
  for (let round = 0; round < 20; round++) {
    const leaving = Array.from({ length: 100 }, () => mesh.caller().get('/leaving'))
    mesh.settle()
    for (const caller of leaving) caller.close()
    mesh.settle()
    // Another connection takes over when one has seen too many leave: no request goes beside the hop.
    expect(between(mesh).protocol).toBe(HOP)
    expect(between(mesh).connections).toBeLessThanOrEqual(2)
  }
  application.open.find(({ received }) => received.includes('/staying'))!.send(OK)
  mesh.settle()
  expect(staying.statuses).toEqual([200])
  expect(mesh.stat('outrigger_http2_guard_trips_total')).toBe(0)
  application.answer = respond(OK)
  const next = mesh.caller().get('/next')
  mesh.settle()
  expect(next.statuses).toEqual([200])
})

test('an endpoint that is gone from discovery: what runs ends, and its connections close', async () => {
  const { mesh, application } = await twoSidecars()
  meet(mesh)
  application.answer = () => {}
  const caller = mesh.caller().get('/slow')
  mesh.settle()
  mesh.thread.receive({ kind: 'endpoints', service: 'orders', delta: { put: [], drop: ['10.0.9.1:20000'] } })
  await Promise.resolve()
  await new Promise(setImmediate)
  application.open.find(({ received }) => received.includes('/slow'))!.send(OK)
  mesh.settle()
  expect(caller.statuses).toEqual([200])
  caller.close()
  mesh.advance(100)
  expect(mesh.stat('outrigger_downstream_connections_active', { direction: 'inbound' })).toBe(0)
})
