import { describe, expect, test } from 'vitest'
import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import { Http2Endpoint, reply } from '../support/http2-endpoint.ts'
import { KeptCallers } from '../support/kept-callers.ts'
import { Mesh } from '../support/mesh.ts'
import { listenerSpec, type ServiceOverrides, serviceSpec, snapshotOf } from '../support/specs.ts'
import { silent } from '../support/upstream.ts'

/**
 * One caller, endpoint or service misbehaves, and the others are measured: on virtual time nothing at all may change for
 * them, not by a millisecond. What a new feature shares gets a row here.
 */

const BAD = ['10.0.0.1:80', '10.0.0.2:80'] as const
const GOOD = ['10.0.1.1:80', '10.0.1.2:80'] as const
const WORK_MS = 7
const ASKED = 100

interface Neighbour {
  readonly what: string
  /** Of the service that misbehaves, or whose callers do. */
  readonly policy?: ServiceOverrides
  readonly rules?: Partial<ServiceSpec>
  /** Before the others begin, and whenever one of them asks. */
  readonly misbehave: (mesh: Mesh) => () => void
  /** Shows that there was something to bear. */
  readonly suffered: (mesh: Mesh) => void
}

const LIMIT = { name: 'one', count: 1, perSeconds: 1, burst: 1, mode: 'enforce', keys: 1000, tell: 'refused' } as const

const hanging = (mesh: Mesh) => {
  for (const name of BAD) mesh.upstream(name).answer = silent
}

const NEIGHBOURS: readonly Neighbour[] = [
  {
    what: 'a caller that stalls in its head',
    misbehave: mesh => () => void mesh.caller().send('GET / HTTP/1.1\r\nHost: ord'),
    suffered: mesh => expect(mesh.stat('outrigger_downstream_connections_active')).toBeGreaterThanOrEqual(ASKED),
  },
  {
    what: 'a caller that stalls in its body',
    misbehave: mesh => () =>
      void mesh.caller().send('POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 100000\r\n\r\nhalf'),
    suffered: mesh => expect(mesh.endpoints()[0]!.active).toBe(ASKED),
  },
  {
    what: 'a caller that reads nothing of a long answer',
    misbehave(mesh) {
      const body = 'x'.repeat(2_000_000)
      for (const name of BAD)
        mesh.upstream(name).answer = (_request, connection) =>
          connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
      let left = 5
      return () => {
        if (left-- > 0) mesh.caller().get().wire.pause()
      }
    },
    suffered: mesh => expect(mesh.endpoints()[0]!.active).toBe(5),
  },
  {
    what: 'an endpoint that never answers',
    misbehave(mesh) {
      hanging(mesh)
      return () => void mesh.caller().get()
    },
    suffered: mesh => expect(mesh.endpoints()[0]!.active).toBe(ASKED),
  },
  {
    what: 'an endpoint that accepts no connection',
    policy: { timeouts: { connectMs: 60_000, requestMs: 0 } },
    misbehave(mesh) {
      for (const name of BAD) mesh.upstream(name).connect = 'ignore'
      return () => void mesh.caller().get()
    },
    suffered: mesh => expect(mesh.endpoints()[0]!.endpoints.reduce((sum, { pending }) => sum + pending, 0)).toBe(ASKED),
  },
  {
    what: 'a full queue (limits.connections and limits.pending)',
    policy: { limits: { connections: 2, pending: 3 }, timeouts: { connectMs: 60_000, requestMs: 0 } },
    misbehave(mesh) {
      hanging(mesh)
      return () => void mesh.caller().get()
    },
    suffered: mesh => expect(mesh.stat('http_requests_total', { service: 'orders', flags: 'UO' })).toBe(ASKED - 5),
  },
  {
    what: 'a service that has all the requests it may have (limits.requests)',
    policy: { limits: { requests: 2 } },
    misbehave(mesh) {
      hanging(mesh)
      return () => void mesh.caller().get()
    },
    suffered: mesh => expect(mesh.stat('http_requests_total', { service: 'orders', flags: 'UO' })).toBe(ASKED - 2),
  },
  {
    what: 'a retry budget that is spent',
    policy: { retries: { on: ['gateway-error'], attempts: 4, budget: { percent: 0, minPerSecond: 1 } } },
    misbehave(mesh) {
      for (const name of BAD)
        mesh.upstream(name).answer = (_request, connection) =>
          connection.send('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n')
      return () => void mesh.caller().get()
    },
    suffered: mesh =>
      expect(mesh.stat('outrigger_retry_budget_exhausted_total', { service: 'orders' })).toBeGreaterThan(0),
  },
  {
    what: 'an endpoint that resets every connection',
    policy: { outliers: { consecutiveGatewayFailures: 2 } },
    misbehave(mesh) {
      for (const name of BAD) mesh.upstream(name).answer = (_request, connection) => connection.reset()
      return () => void mesh.caller().get()
    },
    suffered: mesh => expect(mesh.stat('outrigger_upstream_ejections_total', { service: 'orders' })).toBeGreaterThan(0),
  },
  {
    what: 'a key of a rate limit that is exhausted',
    rules: { rateLimits: [{ ...LIMIT, by: [{ kind: 'header', name: 'x-user' }] }] },
    misbehave: mesh => () => {
      const caller = mesh.caller()
      for (let i = 0; i < 10; i++) caller.send('GET / HTTP/1.1\r\nHost: orders\r\nx-user: eager\r\n\r\n')
    },
    suffered: mesh =>
      expect(mesh.stat('http_requests_total', { service: 'orders', flags: 'RL' })).toBeGreaterThan(9 * ASKED),
  },
  {
    what: 'callers that make up keys of a rate limit',
    rules: { rateLimits: [{ ...LIMIT, keys: 8, by: [{ kind: 'header', name: 'x-user' }] }] },
    misbehave(mesh) {
      let made = 0
      return () => void mesh.caller().send(`GET / HTTP/1.1\r\nHost: orders\r\nx-user: ${made++}\r\n\r\n`)
    },
    suffered: mesh => expect(mesh.stat('http_requests_total', { service: 'orders' })).toBe(ASKED),
  },
  {
    what: 'a fault that delays every request of a service',
    rules: {
      faults: [{ name: 'slow', delay: { minMs: 60_000, maxMs: 60_000, percent: 100 }, byHeaders: false, active: 1000 }],
    },
    misbehave: mesh => () => void mesh.caller().get(),
    suffered: mesh => expect(mesh.stat('outrigger_faults_active')).toBe(ASKED),
  },
  {
    what: 'a mirror that never answers',
    rules: { mirror: { service: 'orders', subset: null, percent: 100, bodyBytes: 0, active: 20, timeoutMs: 60_000 } },
    misbehave(mesh) {
      hanging(mesh)
      return () => void mesh.caller().get()
    },
    suffered: mesh => expect(mesh.stat('outrigger_mirror_requests_total', { result: 'overflow' })).toBe(ASKED - 20),
  },
]

/** What the callers of the other service see: status and milliseconds of each request, in order. */
async function measured(neighbour: Neighbour, isThere: boolean): Promise<readonly (readonly [number, number])[]> {
  const mesh = await Mesh.start(
    snapshotOf(
      [{ ...serviceSpec('orders', BAD, neighbour.policy), ...neighbour.rules }, serviceSpec('users', GOOD)],
      [listenerSpec()],
    ),
  )
  for (const name of GOOD) {
    const upstream = mesh.upstream(name)
    upstream.answer = (_request, connection) =>
      mesh.loop.after(WORK_MS, () => connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  }
  const once = isThere ? neighbour.misbehave(mesh) : () => {}
  const kept = new KeptCallers(mesh)
  const seen: (readonly [number, number])[] = []
  for (let i = 0; i < ASKED; i++) {
    once()
    const sentAt = mesh.loop.now
    kept.ask('GET / HTTP/1.1\r\nHost: users\r\n\r\n', 'GET', {
      over: answer => seen.push([answer?.status ?? 0, mesh.loop.now - sentAt]),
    })
    mesh.advance(5)
  }
  mesh.advance(20)
  if (isThere) neighbour.suffered(mesh)
  return seen
}

describe('another service at the same listener has', () => {
  test.each(NEIGHBOURS)('$what', async neighbour => {
    const alone = await measured(neighbour, false)
    expect(alone).toEqual(Array.from({ length: ASKED }, () => [200, WORK_MS]))
    expect(await measured(neighbour, true)).toEqual(alone)
  })
})

test('one of two endpoints is slow: the other one answers as before, and more and more of the requests', async () => {
  const mesh = await Mesh.start(
    snapshotOf([serviceSpec('orders', BAD, { balancer: 'least_request' })], [listenerSpec({ service: 'orders' })]),
  )
  BAD.forEach((name, i) => {
    mesh.upstream(name).answer = (_request, connection) =>
      mesh.loop.after(i === 0 ? 20 * WORK_MS : WORK_MS, () =>
        connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
      )
  })
  const kept = new KeptCallers(mesh)
  const took: number[] = []
  for (let i = 0; i < 500; i++) {
    const sentAt = mesh.loop.now
    kept.ask('GET / HTTP/1.1\r\nHost: orders\r\n\r\n', 'GET', { over: () => took.push(mesh.loop.now - sentAt) })
    mesh.advance(5)
  }
  mesh.advance(1000)
  expect(new Set(took)).toEqual(new Set([WORK_MS, 20 * WORK_MS]))
  expect(took.filter(ms => ms === WORK_MS).length / took.length).toBeGreaterThan(0.85)
})

test('a stream that stalls on a shared HTTP/2 connection: the others on it, down and up, are answered at once', async () => {
  const mesh = await Mesh.start(
    snapshotOf(
      [serviceSpec('orders', [BAD[0]], { protocol: 'http2', limits: { connections: 1 } })],
      [listenerSpec({ service: 'orders' })],
    ),
  )
  const endpoint = new Http2Endpoint(mesh, BAD[0])
  endpoint.answer = ({ stream, path }) => reply(stream, 200, [], path === '/long' ? 'x'.repeat(5_000_000) : 'ok')
  const caller = mesh.http2Caller()
  const stalled = caller.ask({ path: '/long' })
  stalled.accept = false
  mesh.settle()
  const others = Array.from({ length: 50 }, () => caller.ask({ path: '/short' }))
  mesh.settle()
  expect(others.map(({ status, body }) => [status, body])).toEqual(others.map(() => [200, 'ok']))
  expect(stalled.ended).toBe(false)
  expect(endpoint.open).toHaveLength(1)
})
