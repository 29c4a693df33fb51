import { describe, expect, test } from 'vitest'
import type { Http2Options } from '../../proxy/codec/h2/options.ts'
import { failures } from '../../proxy/core/failure.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { A, expectQuiet, type OrdersOptions, orders } from '../support/orders.ts'
import { turn } from '../support/turns.ts'

/** Callers that give up share connections with others: the endpoint's flood guard must never cut those. */

interface Guard {
  readonly name: string
  readonly options: Partial<Http2Options>
}

const NODE: Guard = {
  name: 'Node and nghttp2: 1,000, then 33 a second',
  options: { resets: { burst: 1000, perSecond: 33 } },
}
const NETTY: Guard = { name: 'Netty: 200 in 30 seconds', options: { resets: { burst: 200, perSecond: 200 / 30 } } }

async function start({ options }: Guard, settings: OrdersOptions = {}) {
  const tripped: string[] = []
  const { mesh } = await orders({ protocol: 'http2', ...settings })
  const endpoint = new Http2Endpoint(mesh, A, { ...options, onGuard: guard => tripped.push(guard) })
  endpoint.answer = request => {
    if (request.path === '/quick') reply(request.stream, 200, [], 'ok')
    if (request.path === '/stream') request.stream.head({ status: 200, headers: new HeaderList() }, false)
  }
  return { mesh, endpoint, tripped }
}

type Mesh = Awaited<ReturnType<typeof start>>['mesh']

/** So many callers a second give up their requests at once; each tenth of a second another one is served. */
function giveUp(mesh: Mesh, count: number, perSecond: number): number[] {
  const statuses: number[] = []
  for (let left = count; left > 0; left -= perSecond / 10) {
    const leaving = Array.from({ length: Math.min(left, perSecond / 10) }, () => mesh.caller().get('/slow'))
    const served = mesh.caller().get('/quick')
    mesh.advance(50)
    for (const caller of leaving) caller.close()
    mesh.advance(50)
    statuses.push(...served.statuses)
    served.close()
  }
  return statuses
}

describe.each([NODE, NETTY])('$name', guard => {
  test('2,500 requests given up, 300 a second: streams that share their connections go on, and nobody else fails', async () => {
    const { mesh, endpoint, tripped } = await start(guard)
    const staying = mesh.caller().get('/stream')
    mesh.settle()
    const statuses = giveUp(mesh, 2500, 300)
    expect(statuses).toEqual(Array.from({ length: statuses.length }, () => 200))
    turn(() => endpoint.served.find(({ path }) => path === '/stream')!.stream.data(Buffer.from('still here'), true))
    mesh.settle()
    expect(staying.last.text).toBe('still here')
    expect(tripped).toEqual([])
    expect(mesh.endpoints()[0]!.endpoints[0]!.failures).toBe(0)
    // Each is closed when nothing runs on it any more.
    expect(endpoint.connections.length).toBeLessThan(2500 / 80)
    expect(endpoint.open.length).toBeLessThanOrEqual(2)
    staying.close()
    mesh.settle()
    expectQuiet(mesh)
  })
})

test('where no other connection may be made the worn one serves on, and a new one follows when nothing runs on it', async () => {
  const { mesh, endpoint } = await start(
    { name: '', options: { resets: { burst: 1e6, perSecond: 1 } } },
    { limits: { connections: 1 } },
  )
  const staying = mesh.caller().get('/stream')
  mesh.settle()
  const statuses = giveUp(mesh, 500, 300)
  expect(statuses).toEqual(Array.from({ length: statuses.length }, () => 200))
  expect(endpoint.connections).toHaveLength(1)
  turn(() => endpoint.served.find(({ path }) => path === '/stream')!.stream.data(Buffer.from('.'), true))
  mesh.settle()
  expect(staying.statuses).toEqual([200])
  expect(endpoint.open).toHaveLength(0)
  const next = mesh.caller().get('/quick')
  mesh.settle()
  expect(next.statuses).toEqual([200])
  expect(endpoint.connections).toHaveLength(2)
})

test('a connection on which few are given up is kept', async () => {
  const { mesh, endpoint } = await start(NODE)
  for (let second = 0; second < 300; second++) {
    const served = Array.from({ length: 9 }, () => mesh.caller().get('/quick'))
    const leaving = [mesh.caller().get('/slow'), mesh.caller().get('/slow')]
    mesh.advance(500)
    for (const caller of leaving) caller.close()
    mesh.advance(500)
    for (const caller of served) caller.close()
  }
  expect(endpoint.connections).toHaveLength(1)
})

test('a connection of which more than a third are given up is not, however slowly that goes (Envoy counts the share)', async () => {
  const { mesh, endpoint } = await start(NODE)
  for (let second = 0; second < 300; second++) {
    const served = [mesh.caller().get('/quick')]
    const leaving = mesh.caller().get('/slow')
    mesh.advance(500)
    leaving.close()
    mesh.advance(500)
    for (const caller of served) caller.close()
  }
  expect(endpoint.connections.length).toBeGreaterThan(2)
  expect(endpoint.open).toHaveLength(1)
})

test('an endpoint that resets its streams itself costs the others nothing: it resets none that we have not opened', async () => {
  const { mesh, endpoint } = await start(NODE, { outliers: { consecutiveGatewayFailures: 0 } })
  const staying = mesh.caller().get('/stream')
  mesh.settle()
  const { answer } = endpoint
  endpoint.answer = request => {
    if (request.path === '/broken') request.stream.reset(failures.resetBeforeResponse, '')
    else answer(request)
  }
  for (let i = 0; i < 3000; i++) {
    mesh.http2Caller().ask({ method: 'POST', path: '/broken', body: 'x' })
    mesh.advance(1)
  }
  turn(() => endpoint.served.find(({ path }) => path === '/stream')!.stream.data(Buffer.from('still here'), true))
  mesh.settle()
  expect(staying.last.text).toBe('still here')
  expect(mesh.stat('outrigger_http2_guard_trips_total')).toBe(0)
})
