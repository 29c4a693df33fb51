import { describe, expect, test } from 'vitest'
import type { BreakerSpec, FallbackSpec } from '../../mesh-config/snapshot.ts'
import { CELL_MEMORY_BYTES } from '../../proxy/core/cells.ts'
import { sharedCells } from '../../proxy/runtime/shared-cells.ts'
import { EventLoop } from '../support/event-loop.ts'
import { Mesh, type MeshOptions } from '../support/mesh.ts'
import { A, B, expectQuiet } from '../support/orders.ts'
import { listenerSpec, routeSpec, type ServiceOverrides, serviceSpec, snapshotOf } from '../support/specs.ts'
import { respond, silent } from '../support/upstream.ts'

const BREAKER: BreakerSpec = {
  errorPercent: 50,
  slowCallMs: 0,
  slowPercent: 50,
  windowMs: 10_000,
  volume: 4,
  openMs: 5_000,
  maxOpenMs: 60_000,
  jitterPercent: 0,
  probes: 2,
}
const REPLY: FallbackSpec = {
  on: ['breaker'],
  reply: { status: 200, headers: [['content-type', 'application/json']], body: '[]' },
  to: null,
}
const ELSEWHERE: FallbackSpec = {
  on: ['breaker', 'overflow', 'no-healthy-upstream'],
  reply: null,
  to: { service: 'spare', subset: null },
}
const failing = respond('HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n')
const down = respond('HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n')

function started(
  service: ServiceOverrides & { readonly breaker?: BreakerSpec; readonly fallback?: FallbackSpec },
  options: MeshOptions = {},
) {
  const { breaker, fallback, ...overrides } = service
  const orders = {
    ...serviceSpec('orders', [A], {
      outliers: { consecutiveGatewayFailures: 0 },
      retries: { attempts: 1 },
      ...overrides,
    }),
    ...(breaker === undefined ? {} : { breaker }),
    ...(fallback === undefined ? {} : { fallback }),
  }
  return Mesh.start(snapshotOf([orders, serviceSpec('spare', [B])], [listenerSpec({ service: 'orders' })]), options)
}

function ask(mesh: Mesh, times = 1): number[] {
  const callers = Array.from({ length: times }, () => mesh.caller().get())
  mesh.settle()
  const statuses = callers.flatMap(caller => caller.statuses)
  for (const caller of callers) caller.close()
  mesh.settle()
  return statuses
}

describe('the breaker of a service', () => {
  test('refuses at once while it is open, tells of itself everywhere, and closes when the probes went well', async () => {
    const mesh = await started({ breaker: BREAKER })
    mesh.upstream(A).answer = down
    expect(ask(mesh, 4)).toEqual([503, 503, 503, 503])
    expect(ask(mesh)).toEqual([503])
    expect(mesh.upstream(A).requests).toHaveLength(4)
    expect(mesh.flight).toMatchObject({ flag: 'UO', failure: 'breaker-open', attempts: [] })
    expect(mesh.endpoints()[0]!.notes).toEqual(['breaker: open, for 5.0 s more'])
    mesh.advance(1000)
    expect(mesh.stat('outrigger_breaker_state', { service: 'orders' })).toBe(2)
    expect(mesh.messages).toContainEqual({
      kind: 'event',
      event: {
        kind: 'breaker',
        cluster: 'orders',
        to: 'open',
        reason: '4 of 4 answers (100 %) failed (limit 50 %) within 10 s',
        forMs: 5_000,
      },
    })
    mesh.upstream(A).answer = respond('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    mesh.advance(4000)
    expect(ask(mesh, 2)).toEqual([200, 200])
    mesh.advance(1000)
    expect(mesh.stat('outrigger_breaker_state', { service: 'orders' })).toBe(0)
    const changes = (to: string) => mesh.stat('outrigger_breaker_transitions_total', { service: 'orders', to })
    expect([changes('open'), changes('half-open'), changes('closed')]).toEqual([1, 1, 1])
    expectQuiet(mesh)
  })

  test('counts what failures count as: timeouts and resets, and no answer of the application that is no gateway failure', async () => {
    const mesh = await started({ breaker: BREAKER, timeouts: { requestMs: 1000 } })
    mesh.upstream(A).answer = failing
    expect(ask(mesh, 8)).toEqual(Array(8).fill(500))
    expect(mesh.endpoints()[0]!.notes).toEqual(['breaker: closed, 0 of 8 answers failed and 0 were slow within 10 s'])
    mesh.upstream(A).answer = silent
    for (let i = 0; i < 8; i++) mesh.caller().get()
    mesh.advance(1000)
    expect(mesh.endpoints()[0]!.notes[0]).toMatch('breaker: open')
  })

  test('opens for slow answers', async () => {
    const mesh = await started({ breaker: { ...BREAKER, slowCallMs: 300 } })
    const { loop } = mesh
    mesh.upstream(A).answer = (_request, connection) =>
      void loop.after(400, () => connection.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
    for (let i = 0; i < 5; i++) {
      mesh.caller().get()
      mesh.advance(400)
    }
    expect(mesh.endpoints()[0]!.notes[0]).toMatch('breaker: open')
  })

  test('is one for two data threads', async () => {
    const memory = new SharedArrayBuffer(CELL_MEMORY_BYTES)
    const loop = new EventLoop()
    const meshes = await Promise.all(
      [0, 1].map(thread => started({ breaker: BREAKER }, { cells: sharedCells(memory, thread, 2), loop })),
    )
    for (const mesh of meshes) mesh.upstream(A).answer = down
    for (const mesh of meshes) expect(ask(mesh, 2)).toEqual([503, 503])
    for (const mesh of meshes) expect(ask(mesh, 2)).toEqual([503, 503])
    expect(meshes.map(mesh => mesh.upstream(A).requests.length)).toEqual([2, 2])
    loop.advance(5000)
    for (const mesh of meshes) mesh.upstream(A).answer = silent
    for (const mesh of meshes) mesh.caller().get()
    for (const mesh of meshes) mesh.caller().get()
    loop.settle()
    expect(meshes.map(mesh => mesh.upstream(A).requests.length)).toEqual([3, 3])
  })
})

describe('a fallback', () => {
  test('answers while the breaker is open', async () => {
    const mesh = await started({ breaker: BREAKER, fallback: REPLY })
    mesh.upstream(A).answer = down
    expect(ask(mesh, 4)).toEqual([503, 503, 503, 503])
    const caller = mesh.caller().get()
    mesh.settle()
    expect(caller.statuses).toEqual([200])
    expect(caller.last.body.toString()).toBe('[]')
    expect(caller.last.headers).toContainEqual(['content-type', 'application/json'])
    expect(mesh.flight).toMatchObject({
      status: 200,
      flag: 'UO',
      failure: 'breaker-open',
      notes: ['fallback: the breaker of the service is open: answered with 200'],
    })
  })

  test('asks another service', async () => {
    const mesh = await started({ breaker: BREAKER, fallback: ELSEWHERE })
    mesh.upstream(A).answer = down
    ask(mesh, 4)
    expect(ask(mesh)).toEqual([200])
    expect(mesh.upstream(B).requests).toHaveLength(1)
    expect(mesh.flight).toMatchObject({
      failure: '',
      notes: ['fallback: the breaker of the service is open: it goes to spare'],
    })
    expectQuiet(mesh)
  })

  test('takes what is over a limit, and what finds no endpoint', async () => {
    const mesh = await started({ limits: { requests: 1 }, fallback: ELSEWHERE })
    mesh.upstream(A).answer = silent
    mesh.caller().get()
    expect(ask(mesh, 3)).toEqual([200, 200, 200])
    mesh.thread.receive({ kind: 'endpoints', service: 'orders', delta: { put: [], drop: [A] } })
    await Promise.resolve()
    for (const caller of mesh.callers) caller.close()
    mesh.settle()
    expect(ask(mesh)).toEqual([200])
    expect(mesh.flight.notes).toEqual(['fallback: the service has no endpoint that may be used: it goes to spare'])
    expectQuiet(mesh)
  })

  test('of a fallback there is none: what it refuses is told', async () => {
    const circle: FallbackSpec = { on: ['overflow'], reply: null, to: { service: 'orders', subset: null } }
    const mesh = await started({ limits: { requests: 1 }, fallback: circle })
    mesh.upstream(A).answer = silent
    mesh.caller().get()
    expect(ask(mesh)).toEqual([503])
    expect(mesh.flight).toMatchObject({ failure: 'pool-overflow', notes: [] })
  })

  test('of a route comes before that of the service', async () => {
    const own: FallbackSpec = { on: ['overflow'], reply: { status: 202, headers: [], body: '' }, to: null }
    const routes = [{ ...routeSpec({ service: 'orders' }), fallback: own }]
    const mesh = await started({ limits: { requests: 1 }, fallback: ELSEWHERE, routes })
    mesh.upstream(A).answer = silent
    mesh.caller().get()
    expect(ask(mesh)).toEqual([202])
  })

  test('never answers a gRPC call with a page', async () => {
    const mesh = await started({ limits: { requests: 1 }, protocol: 'grpc', fallback: { ...REPLY, on: ['overflow'] } })
    mesh.plainUpstream(A)
    const caller = mesh.http2Caller()
    const call = () =>
      caller.ask({ method: 'POST', path: '/a.B/C', fields: ['content-type', 'application/grpc'], body: '' })
    call()
    call()
    mesh.settle()
    expect(mesh.flight).toMatchObject({ grpcStatus: 8, failure: 'pool-overflow', notes: [] })
  })
})
