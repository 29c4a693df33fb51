import { describe, expect, test } from 'vitest'
import { Http2Endpoint } from '../support/http2-endpoint.ts'
import { Mesh } from '../support/mesh.ts'
import { A, B, expectQuiet } from '../support/orders.ts'
import { listenerSpec, type ServiceOverrides, serviceSpec, snapshotOf } from '../support/specs.ts'
import { ok, silent, type Upstream } from '../support/upstream.ts'

/** A reload says that a service speaks another protocol: its endpoints are the same, and so is what is known of them. */

function snapshot(options: ServiceOverrides, endpoints: readonly string[] = [A]) {
  return snapshotOf(
    [serviceSpec('orders', endpoints, options)],
    [listenerSpec({ service: 'orders', protocol: options.protocol === 'tcp' ? 'tcp' : 'http' })],
  )
}

/** The same machine, which speaks HTTP/1.1 again. */
function speakHttp1(upstream: Upstream): void {
  upstream.serve = null
}

const views = (mesh: Mesh) => mesh.endpoints()[0]!.endpoints

describe('what was learnt of an endpoint', () => {
  test('stays over HTTP/1.1, HTTP/2 and TCP: requests, failures, latency, ejection, counters', async () => {
    const mesh = await Mesh.start(
      snapshot({ retries: { on: [] }, outliers: { consecutiveGatewayFailures: 2, baseEjectionMs: 60_000 } }, [A, B]),
    )
    const [a, b] = [mesh.upstream(A), mesh.upstream(B)]
    a.answer = (_request, connection) => connection.reset()
    b.answer = (request, connection) => void mesh.loop.after(40, () => ok(request, connection))
    for (let i = 0; i < 4; i++) {
      mesh.caller().get()
      mesh.advance(50)
    }
    const before = views(mesh)
    expect(before.map(({ state }) => state)).toEqual(['ejected', 'admitting'])
    expect(before[1]!.p50Ms).toBeGreaterThan(30)
    for (const protocol of ['http2', 'tcp', 'http'] as const) {
      await mesh.apply(snapshot({ protocol, outliers: { baseEjectionMs: 60_000 } }, [A, B]))
      mesh.settle()
      views(mesh).forEach((view, i) => {
        const { state, requests, failures, p50Ms } = before[i]!
        expect(view, `${protocol} at ${view.address}`).toMatchObject({ state, requests, failures, p50Ms })
      })
    }
    expect(mesh.stat('outrigger_upstream_requests_total')).toBe(4)
    expect(mesh.stat('outrigger_upstream_ejections_total')).toBe(1)
    expectQuiet(mesh)
  })

  test('but how long it kept idle connections of the protocol it spoke before', async () => {
    const mesh = await Mesh.start(snapshot({ timeouts: { idleMs: 60_000 } }))
    mesh.upstream(A).answer = (_request, connection) =>
      connection.send('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n')
    mesh.caller().get()
    mesh.settle()
    await mesh.apply(snapshot({ protocol: 'http2', timeouts: { idleMs: 60_000 } }))
    const endpoint = new Http2Endpoint(mesh, A)
    mesh.caller().get()
    mesh.advance(30_000)
    expect(endpoint.open).toHaveLength(1)
  })
})

test('idle connections close, running requests finish, and the next ones speak the new protocol', async () => {
  const mesh = await Mesh.start(snapshot({}))
  const upstream = mesh.upstream(A)
  upstream.answer = (request, connection) => {
    if (request.target !== '/slow') ok(request, connection)
  }
  const slow = mesh.caller().get('/slow')
  mesh.caller().get('/quick')
  mesh.settle()
  expect(views(mesh)[0]).toMatchObject({ connections: 2, idle: 1, protocol: 'HTTP/1.1' })
  await mesh.apply(snapshot({ protocol: 'http2' }))
  const endpoint = new Http2Endpoint(mesh, A)
  mesh.settle()
  expect(views(mesh)[0]).toMatchObject({ connections: 1, idle: 0, protocol: 'HTTP/2' })
  const next = mesh.caller().get('/next')
  mesh.settle()
  expect(next.statuses).toEqual([200])
  expect(endpoint.served.map(({ path }) => path)).toEqual(['/next'])
  upstream.open[0]!.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  mesh.settle()
  expect(slow.statuses).toEqual([200])
  expect(upstream.open).toHaveLength(0)
  expect(views(mesh)[0]).toMatchObject({ connections: 1, idle: 1, requests: 3 })
  speakHttp1(upstream)
  await mesh.apply(snapshot({}))
  mesh.settle()
  expect(endpoint.open).toHaveLength(0)
  const back = mesh.caller().get('/back')
  mesh.settle()
  expect(back.statuses).toEqual([200])
  expect(upstream.open).toHaveLength(1)
  expectQuiet(mesh)
})

test('requests that wait for a connection get one of the new protocol', async () => {
  const limits = { connections: 1 }
  const mesh = await Mesh.start(snapshot({ limits }))
  const upstream = mesh.upstream(A)
  upstream.answer = silent
  const running = mesh.caller().get('/running')
  mesh.settle()
  const waiting = [1, 2, 3].map(() => mesh.caller().get('/waiting'))
  mesh.settle()
  expect(views(mesh)[0]!.pending).toBe(3)
  await mesh.apply(snapshot({ protocol: 'http2', limits }))
  const endpoint = new Http2Endpoint(mesh, A)
  upstream.open[0]!.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  mesh.settle()
  expect([running, ...waiting].map(({ statuses }) => statuses)).toEqual([[200], [200], [200], [200]])
  expect(endpoint.served).toHaveLength(3)
  expect(endpoint.open).toHaveLength(1)
  expectQuiet(mesh)
})

test('a limit that a reload raises is taken up at once by requests that wait', async () => {
  const mesh = await Mesh.start(snapshot({ limits: { connections: 1 } }))
  const upstream = mesh.upstream(A)
  upstream.answer = silent
  mesh.caller().get()
  mesh.settle()
  mesh.caller().get()
  mesh.settle()
  expect(upstream.open).toHaveLength(1)
  await mesh.apply(snapshot({ limits: { connections: 2 } }))
  mesh.settle()
  expect(upstream.open).toHaveLength(2)
  expect(upstream.requests).toHaveLength(2)
})
